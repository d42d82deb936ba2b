//! Whether the verdict on a deposit is right, by rules of the checks' own: what a deposit may be taken for, looked at
//! from the store as it stands after the commit.

use rampwatch::domain::deposit::{Deposit, MatchRule, NothingReason, Verdict};
use rampwatch::domain::payment::{Payment, PaymentId, PaymentState};

use super::world::World;
use crate::support::memory_store::Contents;

/// A deposit was judged, or judged anew.
pub(super) fn is_right(world: &World, contents: &Contents, deposit: &Deposit) {
    match &deposit.verdict {
        Verdict::Pays { payment, rule } => pays_rightly(world, contents, deposit, payment, rule),
        Verdict::Nothing { why: NothingReason::ZeroValue } if deposit.amount.is_zero() => {}
        Verdict::Nothing { why: NothingReason::SelfTransfer } if deposit.from == deposit.to => {}
        Verdict::Nothing { why: NothingReason::WalletCredit } if is_to_wallet(world, contents, deposit) => {}
        Verdict::Nothing { why: NothingReason::Dust } if is_dust(contents, deposit) => world.count("deposit: dust"),
        Verdict::Nothing { .. } => world.violate(&format!("taken for nothing: {deposit:?}")),
        Verdict::Unjudged | Verdict::Review { .. } | Verdict::Ignored { .. } => {}
    }
}

/// Whether a thousand times as much does not pay the least that is asked for at its address.
fn is_dust(contents: &Contents, deposit: &Deposit) -> bool {
    let at_address = contents.payments.values().filter(|payment| payment.terms.deposit_address == deposit.to);
    let least = at_address.map(|payment| payment.terms.amount.base_units()).min();
    least.is_some_and(|least| deposit.amount.base_units() * 1_000 <= least)
}

/// Whether it came to the wallet itself, for no payment.
fn is_to_wallet(world: &World, contents: &Contents, deposit: &Deposit) -> bool {
    let mut payments = contents.payments.values();
    world.settings.wallet.as_ref().is_some_and(|wallet| wallet.address == deposit.to)
        && !payments.any(|payment| payment.terms.deposit_address == deposit.to)
}

fn pays_rightly(world: &World, contents: &Contents, deposit: &Deposit, id: &PaymentId, rule: &MatchRule) {
    let Some(payment) = contents.payments.get(id) else {
        return world.violate(&format!("{deposit:?} pays a payment that is not there"));
    };
    let terms = &payment.terms;
    let same = terms.token == deposit.token && terms.deposit_address == deposit.to;
    if !same || deposit.amount.is_zero() || deposit.from == deposit.to {
        world.violate(&format!("said to pay {id}, and never can: {deposit:?}"));
    }
    let is_assigned = matches!(rule, MatchRule::Assigned { .. });
    let plainly = fits(world, deposit, payment) && in_time(world, deposit, payment);
    if !is_assigned && !plainly {
        world.violate(&format!("said to pay {id}, and does not fit: {deposit:?}, {payment:?}"));
    }
    let also = |other: &&Deposit| {
        let pays = matches!(&other.verdict, Verdict::Pays { payment, .. } if payment == id);
        pays && other.key != deposit.key && other.stands()
    };
    if let Some(other) = contents.deposits.values().find(also) {
        world.violate(&format!("{} and {} both pay {id}", deposit.key, other.key));
    }
    if matches!(rule, MatchRule::Sender) && terms.sender != Some(deposit.from) {
        world.violate(&format!("{id} names another sender than that of {}", deposit.key));
    }
    if matches!(rule, MatchRule::Exact) && payment.state.name() == "seen" {
        no_guess(world, contents, deposit, payment);
    }
}

/// No other payment fits as well: not one that waits, has this very amount, and has no other deposit.
fn no_guess(world: &World, contents: &Contents, deposit: &Deposit, chosen: &Payment) {
    let rival = contents.payments.values().find(|payment| {
        payment.id != chosen.id
            && payment.terms.deposit_address == deposit.to
            && payment.terms.amount == deposit.amount
            && payment.state == PaymentState::Waiting
            && payment.api.as_ref().is_none_or(|view| view.tx_hash.is_none())
            && in_time(world, deposit, payment)
    });
    if let Some(rival) = rival {
        world.violate(&format!("{} is said to pay {}, and fits {} as well", deposit.key, chosen.id, rival.id));
    }
}

fn fits(world: &World, deposit: &Deposit, payment: &Payment) -> bool {
    let (asked, got) = (payment.terms.amount.base_units(), deposit.amount.base_units());
    got + world.settings.tolerance_under >= asked && got <= asked + world.settings.tolerance_over
}

fn in_time(world: &World, deposit: &Deposit, payment: &Payment) -> bool {
    let skew = world.settings.skew;
    let at = deposit.block_time;
    // The API's own word stands above ours once it has completed a payment with this transaction.
    let by_hand = payment.api.as_ref().is_some_and(|view| view.tx_hash.is_some());
    let early = at.plus(skew) < payment.terms.created_at;
    let late = payment.terms.expires_at.is_some_and(|end| at > end.plus(skew));
    by_hand || (!early && !late)
}
