//! Looks at a store's place, for a person: whether one can be kept there, who has it, and how much room is left.

use std::fs::File;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::open::{self, LOCK_FILE, StoreOpenError};
use super::place;
use crate::domain::checkup::{StoreCheckup, Told};

/// Looks at the folder of a store. A store that nobody has open is opened for a moment, and left as it is. Blocks.
#[must_use]
pub fn checkup(path: &Path) -> StoreCheckup {
    let place = place::must_be_usable(path).map_err(|error| error.to_string());
    let exists = place::must_be_there(path).is_ok();
    let (mut in_use, mut schema) = (exists && is_locked(path), None);
    if exists && !in_use && place.is_ok() {
        schema = match open::open_as_it_is(path) {
            Ok((_, version, None)) => Some(Ok(version)),
            Ok((.., Some(lost))) => Some(Err(lost.to_string())),
            Err(StoreOpenError::Locked { .. }) => {
                in_use = true;
                None
            }
            Err(error) => Some(Err(error.to_string())),
        };
    }
    let mode = path.metadata().ok().map(|found| found.permissions().mode() & 0o777);
    StoreCheckup { place, exists, in_use, schema, mode, free_bytes: free_bytes(path) }
}

fn is_locked(path: &Path) -> bool {
    File::open(path.join(LOCK_FILE)).is_ok_and(|lock| lock.try_lock_shared().is_err())
}

/// Of the disk that the folder is on, or will be on.
fn free_bytes(path: &Path) -> Told<u64> {
    let there = path.ancestors().map(|place| if place.as_os_str().is_empty() { Path::new(".") } else { place });
    let nearest = there.into_iter().find(|place| place.exists()).unwrap_or(Path::new("/"));
    let told = rustix::fs::statvfs(nearest).map_err(|error| io::Error::from(error).to_string())?;
    Ok(told.f_bavail.saturating_mul(told.f_frsize))
}
