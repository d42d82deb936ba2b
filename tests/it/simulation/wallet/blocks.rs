//! What must hold after each change of the chain: at most one transfer an order, and one a payment, and no more than the
//! rules allow (`lies::laws`).

use std::collections::BTreeMap;

use rampwatch::domain::chain::{B256, BlockRef};
use rampwatch::domain::order::OrderId;
use rampwatch::domain::payment::PaymentId;

use super::super::lies::laws;
use super::super::world::{World, short};

/// Looks at the wallet's transactions that are on the chain now.
pub(super) fn look(world: &World) {
    if world.settings.wallet.is_none() {
        return;
    }
    let mut broken = Vec::new();
    let mut news = Vec::new();
    {
        let mut wallet = world.wallet();
        let chain = world.chain();
        let now: BTreeMap<B256, BlockRef> = {
            let all = wallet.books.lines.values().flat_map(|line| &line.kept);
            let on_chain = all.filter_map(|kept| {
                let (mined, block) = chain.mined_now(kept.signed.hash)?;
                if wallet.books.mined.get(&kept.signed.hash) != Some(&block) {
                    let kind = match (mined.succeeded, kept.signed.transfer()) {
                        (true, Some(_)) => "a transfer",
                        (false, Some(_)) => "a transfer that fails",
                        (_, None) => "a self-send",
                    };
                    news.push((kind, short(&kept.signed.hash), block.number));
                }
                Some((kept.signed.hash, block))
            });
            on_chain.collect()
        };
        wallet.books.mined = now;
        let mut of_order: BTreeMap<&OrderId, u32> = BTreeMap::new();
        let mut of_payment: BTreeMap<&PaymentId, u32> = BTreeMap::new();
        for (id, line) in &wallet.books.lines {
            for kept in line.kept.iter().filter(|kept| kept.signed.transfer().is_some()) {
                if !chain.mined_now(kept.signed.hash).is_some_and(|(mined, _)| mined.succeeded) {
                    continue;
                }
                *of_order.entry(id).or_default() += 1;
                *of_payment.entry(&id.payment).or_default() += 1;
            }
        }
        broken.extend(
            of_order
                .iter()
                .filter(|(_, count)| **count > 1)
                .map(|(id, count)| format!("order {id} paid {count} times")),
        );
        broken.extend(
            of_payment
                .iter()
                .filter(|(_, count)| **count > 1)
                .map(|(id, count)| format!("{id} was paid {count} times")),
        );
    }
    for (kind, hash, number) in news {
        world.count(&format!("wallet: {kind} is mined"));
        world.note(&format!("block {number} has {hash}, {kind} of the wallet"));
    }
    for what in &broken {
        world.violate(what);
    }
    laws::what_left(world);
}
