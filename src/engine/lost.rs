//! A store that holds less than it had acknowledged: what it sent since may be unknown to it. The wallet is halted before any
//! loop runs, and it is told. Deliberately absent: guessing what is missing; everything else is read again from chain and API.

use super::transaction::Tries;
use crate::domain::event::{Alarm, Event, EventKind, WalletChange};
use crate::domain::time::Timestamp;
use crate::domain::wallet::{Halt, HaltReason};
use crate::ports::store::{Commit, Store, StoreError, if_readable};

/// Halts the wallet and raises the alarm, if the store has lost something. A wallet that the store knows nothing of begins
/// halted by itself once it has sent anything.
///
/// # Errors
/// The store fails.
pub async fn tell(store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
    let Some(lost) = store.lost() else { return Ok(()) };
    let why = HaltReason::StoreIncomplete { held: lost.held, acknowledged: lost.acknowledged };
    let mut tries = Tries::default();
    loop {
        let event = |kind| Event::new(now, kind);
        let alarm = Alarm::StoreIncomplete { held: lost.held, acknowledged: lost.acknowledged };
        let mut events = vec![event(EventKind::Alarm { alarm })];
        // One that does not read stands still.
        let mut wallet = if_readable(store.wallet().await)?;
        // A halt that ends by itself is no halt for this.
        let is_halted = |why: &HaltReason| !matches!(why, HaltReason::OtherWallet { .. });
        wallet = wallet.filter(|wallet| !wallet.halted.as_ref().is_some_and(|halt| is_halted(&halt.why)));
        if let Some(wallet) = &mut wallet {
            wallet.halted = Some(Halt { at: now, why: why.clone() });
            let change = WalletChange::Halted { why: why.clone() };
            events.push(event(EventKind::Alarm { alarm: Alarm::WalletHalted { why: why.clone() } }));
            events.push(event(EventKind::WalletChanged { address: wallet.address, change }));
        }
        let changes = Commit { wallet, events, ..Commit::default() };
        if tries.commit(store, changes).await? {
            return store.loss_is_told().await;
        }
    }
}
