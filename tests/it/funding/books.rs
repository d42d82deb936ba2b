//! The books of real sends: what a wallet paid on a chain is exported, proven and held against the chain and the API.

use std::sync::Arc;

use rampwatch::adapters::evm::EvmChain;
use rampwatch::adapters::payment_http::{PaymentHttp, PaymentHttpSettings};
use rampwatch::adapters::system::SystemClock;
use rampwatch::domain::amount::Amount;
use rampwatch::domain::time::Span;
use rampwatch::outbound::Outbound;
use rampwatch::sandbox::WALLET;
use rampwatch::service::books::{Books, PARTS, enter};
use rampwatch::service::export::Interval;
use rampwatch::service::reconcile::Auditor;
use rampwatch::view::reconcile::ReconcileView;
use secrecy::SecretString;

use super::bench::{assert_laws, fund, open, rules, setup, until, until_all_ended, wallet_opened};
use crate::anvil::world::{World, usdc};
use crate::support::desk::token_names;

fn auditor(world: &World) -> Auditor {
    let clock = Arc::new(SystemClock);
    let settings = PaymentHttpSettings {
        base_url: world.api.base_url(),
        key: SecretString::from(world.api.api_key()),
        connect_timeout: Span::from_secs(5),
        timeout: Span::from_secs(30),
        decimals: 6,
        webhook_secret: None,
        outbound: Outbound::local(),
    };
    let api = Arc::new(PaymentHttp::new(settings, clock.clone()).unwrap());
    let chain = Arc::new(EvmChain::new(world.evm_settings()).unwrap());
    Auditor {
        chain: chain.clone(),
        sender: chain,
        api: Some(api.clone()),
        off_ramp_api: Some(api),
        clock,
        settings: Arc::new(world.setup.engine.clone()),
        tokens: token_names(),
    }
}

async fn audit(world: &World) -> ReconcileView {
    let mut books = Books::default();
    for part in PARTS {
        let page = world.handle().books(part, None, 1_000).await.unwrap();
        assert_eq!(page.next, None);
        page.items.into_iter().for_each(|entry| enter(&mut books, entry));
    }
    let always = Interval::parse(None, None).unwrap();
    auditor(world).audit(&books, &always, &|_| {}).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_is_in_the_export_has_its_receipt_and_agrees_with_the_chain() {
    let mut world = World::start(setup(rules())).await;
    wallet_opened(&world).await;
    let by_wallet = open(&world, usdc(250)).await;
    fund(&world, &by_wallet).await.unwrap();
    until_all_ended(&world).await;
    let by_hand = open(&world, usdc(100)).await;
    let hand = world.pay(&by_hand).await;
    world.until_completed(&[&by_wallet, &by_hand]).await;
    let all_swept = || async {
        world.mine(1).await;
        let view = audit(&world).await;
        view.wallet.is_some_and(|wallet| wallet.went.chain.base_units == usdc(250))
            && view.deposits.iter().any(|total| total.chain.base_units == usdc(350))
    };
    until("both are in covered blocks", all_swept).await;

    let view = audit(&world).await;
    assert_eq!(view.differences, [], "{view:#?}");
    let wallet = view.wallet.unwrap();
    assert_eq!((wallet.mined, wallet.next_nonce), (Some(1), Some(1)));
    // Whatever the wallet was given in these blocks is among what came.
    let had = wallet.before.unwrap().base_units.checked_add(wallet.came.chain.base_units).unwrap();
    let after = wallet.after.unwrap().base_units;
    assert_eq!(had.checked_sub(usdc(250)), Some(after), "an archive node proves the balance");

    let receipt = world.handle().receipt(by_wallet.id.as_str()).await.unwrap();
    let parts: Vec<&str> = receipt.missing.iter().map(|text| text.split(':').next().unwrap()).collect();
    assert!(
        !parts.iter().any(|part| [
            "Order",
            "Deposit",
            "Match",
            "Finality",
            "Completion",
            "API answers",
            "End",
            "Broadcast"
        ]
        .contains(part)),
        "{parts:?}"
    );
    let sent = world.node().sent_by(WALLET, 0).await.unwrap();
    let [tx] = receipt.orders[0].transactions.as_slice() else { panic!("{receipt:#?}") };
    let mined = tx.mined.as_ref().unwrap();
    assert_eq!((tx.tx_hash, mined.block.number), (sent[0].tx_hash, receipt.deposit.as_ref().unwrap().block_number));
    assert_eq!(receipt.orders[0].fee_wei.as_deref(), mined.cost.as_ref().map(|cost| cost.fee_wei.as_str()));

    let always = Interval::parse(None, None).unwrap();
    let rows = world.handle().export(&always, None, 1_000).await.unwrap().items;
    let sum = |kind: &str, what: &str| {
        let units = rows.iter().filter(|row| (row.kind.as_str(), row.what.as_str()) == (kind, what));
        // What the wallet itself was given is a deposit too.
        let units = units.filter(|row| row.to.as_deref() != Some(WALLET.to_string().as_str()));
        units.filter_map(|row| row.amount_base_units.as_ref()).map(|units| units.parse::<u128>().unwrap()).sum::<u128>()
    };
    let both = usdc(350).base_units();
    assert_eq!((sum("deposit", "final"), sum("completion", "called"), sum("match", "pays")), (both, both, both));
    assert_eq!(Amount::from_base_units(sum("order", "ended")), usdc(250));
    let fees: Vec<_> = rows.iter().filter(|row| (row.kind.as_str(), row.what.as_str()) == ("fee", "network")).collect();
    assert_eq!(fees.iter().map(|row| row.fee_wei.clone()).collect::<Vec<_>>(), [receipt.orders[0].fee_wei.clone()]);

    // The API is made to name another transaction, and an unexplained one leaves the wallet.
    world.api.set(&by_hand.id, "COMPLETED", Some(&sent[0].tx_hash.to_string())).unwrap();
    let names: Vec<String> = audit(&world).await.differences.into_iter().map(|difference| difference.name).collect();
    assert_eq!(names, ["hash_twice"]);
    world.api.set(&by_hand.id, "COMPLETED", Some(&hand.to_string())).unwrap();
    assert_laws(&world, &[&by_wallet]).await;
    world.assert_completions(&[(&by_wallet, sent[0].tx_hash), (&by_hand, hand)]);
    world.end_whatever_was_completed().await;
}
