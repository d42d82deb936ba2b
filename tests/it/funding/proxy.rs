//! Funding over a way to the node that loses answers, delays them, repeats requests and tells lies: at most one mined
//! transfer a payment, whatever is heard, and none is left lying.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rampwatch::adapters::evm::EndpointSettings;
use rampwatch::domain::chain::B256;
use rampwatch::domain::event::Alarm;
use rampwatch::domain::operator::Operator;
use rampwatch::domain::order::{Effect, OrderOutcome, OrderState, Spend};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::engine::{EngineSettings, FundingRules};
use rampwatch::sandbox::fake_api::OffRamp;
use rampwatch::sandbox::{BlockTag, Node, PAYER, USDC, WALLET};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::bench::{
    alarms, assert_laws, fund, open, order, rules, setup, spent, until, until_all_ended, wait_order, wallet_opened,
};
use super::tools::{in_flight, until_order};
use crate::anvil::world::{LIMIT, Setup, World, usdc};
use crate::support::rpc_proxy::{Call, Deed, RpcProxy, Weather};
use crate::support::{eventually, of_its_own};

const SEND: &str = "eth_sendRawTransaction";
const RECEIPT: &str = "eth_getTransactionReceipt";

/// How long the engine waits for an answer.
const PATIENCE: Duration = Duration::from_millis(700);

/// How a world's engine reaches its node.
pub(crate) type Endpoints = Box<dyn Fn(&Node) -> Vec<EndpointSettings> + Send + Sync>;

/// A world, and what stands between it and its node.
struct Behind {
    world: World,
    ways: Arc<Mutex<Vec<RpcProxy>>>,
}

impl Behind {
    /// So many endpoints, each a proxy before the one node.
    async fn start(endpoints: usize, rules: FundingRules) -> Self {
        Self::start_with(endpoints, setup(rules)).await
    }

    async fn start_with(endpoints: usize, setup: Setup) -> Self {
        let ways = Arc::<Mutex<Vec<RpcProxy>>>::default();
        let made = Arc::clone(&ways);
        let mut setup = Setup { request_timeout: PATIENCE, ..setup };
        setup.endpoints = Some(Box::new(move |node| {
            let mut ways = made.lock().unwrap();
            while ways.len() < endpoints {
                ways.push(RpcProxy::open(node.http_url().as_str()));
            }
            let named = ways.iter().enumerate();
            named.map(|(nth, way)| endpoint(way_name(nth), &way.url())).collect()
        }));
        let world = World::start(setup).await;
        wallet_opened(&world).await;
        Self { world, ways }
    }

    fn way<T>(&self, nth: usize, tell: impl FnOnce(&RpcProxy) -> T) -> T {
        tell(&self.ways.lock().unwrap()[nth])
    }

    /// Opens an off-ramp that is read already, so that what is told to the proxy strikes the send.
    async fn opened(&self, whole: u128) -> OffRamp {
        let off_ramp = open(&self.world, usdc(whole)).await;
        let read = || async {
            let coverage = self.world.store().coverage(off_ramp.deposit_address).await.unwrap();
            coverage.is_some_and(|coverage| coverage.swept.is_some())
        };
        eventually(LIMIT, "its address is read", read).await;
        off_ramp
    }

    /// Funds one while this is done to the next broadcasts, and sees it paid and completed.
    async fn paid_through(&self, whole: u128, deeds: &[Deed]) -> OffRamp {
        let off_ramp = self.opened(whole).await;
        let before = self.way(0, |way| {
            deeds.iter().for_each(|deed| way.next(SEND, deed.clone()));
            way.seen().len()
        });
        fund(&self.world, &off_ramp).await.unwrap();
        until_all_ended(&self.world).await;
        self.world.until_completed(&[&off_ramp]).await;
        let seen = self.way(0, |way| way.seen().split_off(before));
        let done: Vec<Deed> =
            seen.into_iter().filter(|seen| seen.call.method == SEND).map(|seen| seen.deed).take(deeds.len()).collect();
        assert_eq!(done, deeds, "what was to go wrong did");
        off_ramp
    }

    /// Everything was paid once, nothing is left, and nobody took fright.
    async fn end(mut self, off_ramps: &[&OffRamp]) {
        let world = &self.world;
        assert_laws(world, off_ramps).await;
        for off_ramp in off_ramps {
            let OrderState::Ended { outcome: OrderOutcome::Paid { .. }, .. } = order(world, off_ramp).await.state
            else {
                panic!("{:#?}", order(world, off_ramp).await);
            };
            let got = world.node().balance(USDC, off_ramp.deposit_address).await.unwrap();
            assert_eq!(got, off_ramp.amount, "{} got its money once", off_ramp.id);
        }
        let wallet = world.store().wallet().await.unwrap().unwrap();
        let mined = world.node().transaction_count(WALLET, BlockTag::Latest).await.unwrap();
        assert_eq!((wallet.next_nonce, wallet.halted), (mined, None), "every nonce that was taken is consumed");
        let spent = world.store().spent_since(Timestamp::EPOCH).await.unwrap();
        let spent: u128 = spent.iter().map(|order| order.amount.base_units()).sum();
        assert_eq!(spent, off_ramps.iter().map(|off_ramp| off_ramp.amount.base_units()).sum::<u128>());
        self.world.end_whatever_was_completed().await;
    }
}

/// Each of so many endpoints is an operator of its own, and two must agree.
fn agreeing(endpoints: usize, setup: Setup) -> Setup {
    let known = (0..endpoints).map(|nth| of_its_own(&way_name(nth))).collect();
    let engine = EngineSettings { agreement: 2, endpoints: known, ..setup.engine };
    Setup { engine, ..setup }
}

fn way_name(nth: usize) -> String {
    format!("way {nth}")
}

fn endpoint(name: String, url: &str) -> EndpointSettings {
    EndpointSettings { operator: Operator::named(&name), name, http: Some(SecretString::from(url)), ws: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_to_a_broadcast_that_are_lost_late_or_double_pay_once() {
    let behind = Behind::start(1, rules()).await;
    let late = PATIENCE * 2;
    let troubles: Vec<Vec<Deed>> = vec![
        vec![Deed::lose_answer()],
        vec![Deed::lose_request()],
        vec![Deed::swallow_answer()],
        vec![Deed::twice(0)],
        vec![Deed::twice(1)],
        // It arrives when the engine has given it up, and given it again.
        vec![Deed::delay(late, Duration::ZERO)],
        vec![Deed::delay(Duration::ZERO, late)],
        vec![Deed::status(503)],
        vec![Deed::status(429)],
        vec![Deed::pass().telling(crate::support::rpc_proxy::Tell::Status(502))],
        vec![Deed::lose_request(), Deed::status(503), Deed::lose_answer()],
        vec![Deed::answer(json!("0x5e4d")), Deed::answer(Value::Null)],
    ];
    let mut off_ramps = Vec::new();
    for (nth, deeds) in troubles.iter().enumerate() {
        off_ramps.push(behind.paid_through(100 + nth as u128, deeds).await);
    }
    behind.end(&off_ramps.iter().collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_that_a_node_says_once_and_should_not_have_pay_once() {
    let behind = Behind::start(1, rules()).await;
    let words = [
        "nonce too low",
        "already known",
        "replacement transaction underpriced",
        "insufficient funds for gas * price + value",
        "transaction gas price below minimum: gas tip cap 1, minimum needed 25000000000",
        "nonce too high",
        "execution aborted (timeout = 5s)",
        "the node is having a bad day",
    ];
    let mut off_ramps = Vec::new();
    for (nth, words) in words.iter().enumerate() {
        let whole = 200 + 2 * nth as u128;
        // Once it is said instead of taking the transaction, and once although it was taken.
        off_ramps.push(behind.paid_through(whole, &[Deed::refuse(-32_000, words)]).await);
        let taken = Deed::pass().telling_error(-32_000, words);
        off_ramps.push(behind.paid_through(whole + 1, &[taken]).await);
    }
    behind.end(&off_ramps.iter().collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_that_arrives_after_its_cancellation_was_mined_moves_nothing() {
    let mut behind = Behind::start(1, rules()).await;
    let off_ramp = behind.opened(50).await;
    let mut held = behind.way(0, |way| way.hold(SEND, crate::support::rpc_proxy::Stage::Before, 0));
    fund(&behind.world, &off_ramp).await.unwrap();
    held.reached().await;
    let id = order(&behind.world, &off_ramp).await.id.to_string();
    behind.world.handle().cancel_order(&id, "changed my mind").await.unwrap();
    until_all_ended(&behind.world).await;
    // Only now does the node hear of the transfer.
    drop(held);
    let arrived = || async { behind.way(0, RpcProxy::is_idle) };
    eventually(LIMIT, "the late transfer has arrived", arrived).await;
    behind.world.mine(3).await;
    let ended = order(&behind.world, &off_ramp).await.state;
    assert!(matches!(ended, OrderState::Ended { outcome: OrderOutcome::SelfSent { .. }, .. }), "{ended:?}");
    let got = behind.world.node().balance(USDC, off_ramp.deposit_address).await.unwrap();
    assert_eq!(got.base_units(), 0, "nothing moved");
    assert_laws(&behind.world, &[&off_ramp]).await;
    let spent = behind.world.store().spent_since(Timestamp::EPOCH).await.unwrap();
    assert_eq!(spent, [], "the spend is given back");
    behind.world.end_whatever_was_completed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_never_has_a_receipt_is_not_believed_against_another() {
    let behind = Behind::start(2, rules()).await;
    behind.way(0, |way| way.always(RECEIPT, Deed::answer(Value::Null)));
    let off_ramps = [behind.opened(301).await, behind.opened(302).await];
    for off_ramp in &off_ramps {
        fund(&behind.world, off_ramp).await.unwrap();
    }
    until_all_ended(&behind.world).await;
    behind.world.until_completed(&[&off_ramps[0], &off_ramps[1]]).await;
    behind.end(&[&off_ramps[0], &off_ramps[1]]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_lags_and_takes_everything_pays_nothing_twice() {
    let behind = Behind::start(2, rules()).await;
    // What it is given goes nowhere, and it knows of nothing: it counts no transaction of the wallet, ever.
    behind.way(1, |way| {
        way.plan(|call: &Call| match call.method.as_str() {
            SEND => {
                let raw: alloy::primitives::Bytes = serde_json::from_value(call.params[0].clone()).unwrap();
                Some(Deed::answer(json!(alloy::primitives::keccak256(&raw))))
            }
            RECEIPT => Some(Deed::answer(Value::Null)),
            "eth_getTransactionCount" => Some(Deed::answer(json!("0x0"))),
            _ => None,
        });
    });
    let mut off_ramps = Vec::new();
    for whole in 401..405 {
        off_ramps.push(behind.opened(whole).await);
        fund(&behind.world, off_ramps.last().unwrap()).await.unwrap();
        wait_order(&behind.world, off_ramps.last().unwrap(), "sent", |state| state.nonce().is_some()).await;
    }
    until_all_ended(&behind.world).await;
    let all: Vec<&OffRamp> = off_ramps.iter().collect();
    behind.world.until_completed(&all).await;
    behind.end(&all).await;
}

/// The receipt of a transfer that was mined, as the node has it.
async fn receipt_of(behind: &Behind, tx_hash: B256) -> Value {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let asked = json!({ "jsonrpc": "2.0", "id": 1, "method": RECEIPT, "params": [tx_hash] });
    let answer = client.post(behind.world.node().http_url().clone()).json(&asked).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    assert!(answer["result"].is_object(), "{answer}");
    answer["result"].clone()
}

/// F1: one operator's node says that a transfer failed, and hides the wallet's logs, while it was mined and paid.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_one_operators_word_that_a_transfer_failed_neither_pays_again_nor_gives_spend_back() {
    let behind = Behind::start_with(2, agreeing(2, setup(rules()))).await;
    let off_ramp = behind.opened(90).await;
    let no_receipt = || Deed::answer(Value::Null);
    (0..2).for_each(|nth| behind.way(nth, |way| way.always(RECEIPT, no_receipt())));
    fund(&behind.world, &off_ramp).await.unwrap();
    let transfer = in_flight(&behind.world, &off_ramp).await;
    assert!(behind.world.mine_for(transfer.tx_hash).await.succeeded);
    let mut lie = receipt_of(&behind, transfer.tx_hash).await;
    (lie["status"], lie["logs"]) = (json!("0x0"), json!([]));
    behind.way(0, |way| {
        way.clear();
        way.always(RECEIPT, Deed::answer(lie));
        way.always("eth_getLogs", Deed::answer(json!([])));
    });
    let reverted = |state: &OrderState| matches!(state, OrderState::Mined { effect: Effect::Reverted, .. });
    wait_order(&behind.world, &off_ramp, "said to have failed", reverted).await;
    behind.way(1, RpcProxy::clear);
    let told = || async {
        behind.world.mine(1).await;
        alarms(&behind.world).await.iter().any(|alarm| matches!(alarm, Alarm::OperatorsDisagree { .. }))
    };
    until("the dispute is told", told).await;
    behind.world.mine(20).await;
    behind.world.sweeps(5).await;
    let held = order(&behind.world, &off_ramp).await;
    assert!(matches!(held.state, OrderState::Mined { .. }), "{:?}", held.state);
    assert_eq!((held.attempts.len(), held.spend), (1, Spend::Counted));
    assert_eq!(spent(&behind.world).await, off_ramp.amount);
    // Once it says what is true, all goes on by itself.
    behind.way(0, RpcProxy::clear);
    until_order(&behind.world, &off_ramp, "ended", |state| matches!(state, OrderState::Ended { .. })).await;
    behind.world.until_completed(&[&off_ramp]).await;
    behind.end(&[&off_ramp]).await;
}

/// One operator's node hides what somebody has paid by hand a moment ago: another shows it, and the wallet does not pay too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_a_payment_made_by_hand_that_one_operator_hides_is_not_paid_again() {
    let mut rules = rules();
    rules.pace.hold_check = Span::from_millis(100);
    let mut setup = agreeing(2, setup(rules));
    setup.engine.sweep.second_after = Span::from_secs(3_600);
    let mut behind = Behind::start_with(2, setup).await;
    let off_ramp = behind.opened(90).await;
    let world = &behind.world;
    behind.way(0, |way| way.always("eth_getLogs", Deed::answer(json!([]))));
    world.node().transfer(USDC, PAYER, off_ramp.deposit_address, off_ramp.amount).await.unwrap();
    // So long ago that a node that is behind has it too, and so lately that it was not read a second time.
    world.mine(12).await;
    world.sweeps(3).await;
    fund(world, &off_ramp).await.unwrap();
    let held = |state: &OrderState| matches!(state, OrderState::Held { why } if why.name() == "money-there");
    wait_order(world, &off_ramp, "held", held).await;
    assert_eq!(order(world, &off_ramp).await.attempts, []);
    // What it hid, the watcher finds as soon as it hides it no more.
    behind.way(0, RpcProxy::clear);
    world.until_completed(&[&off_ramp]).await;
    assert_laws(world, &[&off_ramp]).await;
    assert_eq!(world.node().balance(USDC, off_ramp.deposit_address).await.unwrap(), off_ramp.amount);
    behind.world.end_whatever_was_completed().await;
}

/// S12: one operator's "nonce too low" halts nothing while the other has the transaction, and it is mined.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s12_one_operators_word_that_a_nonce_is_consumed_halts_nothing() {
    let behind = Behind::start_with(2, agreeing(2, setup(rules()))).await;
    let off_ramp = behind.opened(91).await;
    behind.way(0, |way| way.always(SEND, Deed::refuse(-32_000, "nonce too low")));
    fund(&behind.world, &off_ramp).await.unwrap();
    let looked = || async {
        let order = order(&behind.world, &off_ramp).await;
        order.attempts.iter().any(|attempt| attempt.sends > 0)
    };
    until("it counts as sent", looked).await;
    assert_eq!(behind.world.store().wallet().await.unwrap().unwrap().halted, None);
    until_all_ended(&behind.world).await;
    behind.world.until_completed(&[&off_ramp]).await;
    behind.end(&[&off_ramp]).await;
}

async fn storm(seed: u64, endpoints: usize) {
    let behind = Behind::start(endpoints, rules()).await;
    for nth in 0..endpoints {
        // Broadcasts have the worst of it. A batch of questions fails with any of its parts, so each has less.
        let storm = Weather::storm(seed + nth as u64, &[SEND]);
        let wind =
            Weather { delay: 20, lose_answer: 10, lose_request: 5, twice: 20, refuse: 5, mask: 5, ..storm.clone() };
        let wind = Weather { methods: Vec::new(), ..wind };
        behind.way(nth, |way| {
            way.plan(move |call: &Call| (call.method == SEND).then(|| storm.deed(call)));
            way.weather(wind);
        });
    }
    let mut off_ramps = Vec::new();
    for whole in 0..12 {
        let off_ramp = open(&behind.world, usdc(500 + whole)).await;
        fund(&behind.world, &off_ramp).await.unwrap();
        off_ramps.push(off_ramp);
    }
    until_all_ended(&behind.world).await;
    for nth in 0..endpoints {
        behind.way(nth, RpcProxy::clear);
    }
    let all: Vec<&OffRamp> = off_ramps.iter().collect();
    behind.world.until_completed(&all).await;
    let unheard: u64 = (0..endpoints).map(|nth| behind.way(nth, |way| way.count(SEND).unheard)).sum();
    let given: u64 = (0..endpoints).map(|nth| behind.way(nth, |way| way.count(SEND).forwarded)).sum();
    assert!(given >= 12, "the node was given {given} transactions, of which {unheard} were never heard of again");
    behind.end(&all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_pays_each_once() {
    storm(1, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_storm_pays_each_once() {
    storm(20, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storms_on_two_ways_pay_each_once() {
    storm(300, 2).await;
}
