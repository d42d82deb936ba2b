//! `[network]`: how everything leaves this machine, to nodes, the payment API and people's endpoints. May be left out.

use std::path::{Path, PathBuf};

use super::parse::path;
use super::reader::{Section, Show};
use crate::outbound::Proxy;

/// `[network]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkSettings {
    /// The proxy that everything goes through, except to this machine itself.
    pub proxy: Option<Proxy>,
    /// A PEM file with the authorities that TLS trusts, instead of the system's.
    pub ca_file: Option<PathBuf>,
}

/// Reads `[network]`, all of which may be missing.
pub(super) fn network(mut section: Section<'_>, base: &Path) -> Option<NetworkSettings> {
    let proxy = section.removable("proxy", Show::Nothing, Proxy::parse);
    let ca_file = section.removable("ca_file", Show::Value, |text| path(base, text));
    let wrong = section.wrong("proxy") || section.wrong("ca_file");
    section.finish("proxy, ca_file");
    (!wrong).then_some(NetworkSettings { proxy, ca_file })
}
