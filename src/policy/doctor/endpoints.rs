//! The RPC endpoints: what is only a warning while another endpoint does it well is a failure when none does.

use super::{Finding, Grade, Says, words};
use crate::domain::chain::{B256, Header};
use crate::domain::checkup::{AbilityCheckup, EndpointCheckup, HashesAt, LogRefusal, SideTrouble};
use crate::domain::time::{Span, Timestamp};

/// A head older than this is worth a word. Polygon makes a block every two seconds.
const OLD_HEAD: Span = Span::from_secs(30);

/// What the configuration expects of endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointRules {
    /// The moment of asking.
    pub now: Timestamp,
    /// The configured chain.
    pub chain_id: u64,
    /// Whether finality goes by the `finalized` tag.
    pub needs_tag: bool,
    /// How long the final block may stand still (`chain.finality.stall_after`).
    pub stall_after: Span,
}

/// What each endpoint's answers mean.
#[must_use]
pub fn endpoints(all: &[EndpointCheckup], rules: &EndpointRules) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, one) in all.iter().enumerate() {
        // Whether another endpoint does well what this one may not.
        let spare = |well: &dyn Fn(&EndpointCheckup) -> bool| {
            all.iter().enumerate().any(|(other, endpoint)| other != at && is_usable(endpoint) && well(endpoint))
        };
        let graded = |well: &dyn Fn(&EndpointCheckup) -> bool| {
            if spare(well) { Grade::Warning } else { Grade::Failure }
        };
        let says = Says::of("endpoint", &one.name);
        reach(one, rules, &says, graded(&|_| true), &mut findings);
        if !is_usable(one) {
            continue;
        }
        findings.extend(head(one, rules, &says, graded(&|other| is_fresh(other, rules))));
        if rules.needs_tag {
            findings.push(finality(one, rules, &says, graded(&|other| is_final(other, rules))));
        }
        findings.push(logs(one, &says, graded(&|other| other.logs.as_ref().is_ok_and(|logs| logs.taken > 0))));
        let filters = graded(&|other| !matches!(other.abilities.filters, Ok(Some(false)) | Err(_)));
        let receipts = graded(&|other| matches!(other.abilities.receipts, Ok(Some(true) | None)));
        findings.extend(abilities(one, &says, filters, receipts));
        findings.extend(one.push.as_ref().map(|push| match push {
            Ok(()) => says.ok("a subscription over its websocket brought a new head"),
            Err(why) => says.warn(
                format!("a subscription over its websocket brought no head: {why}"),
                "deposits are still found by polling, only later; ask the provider for eth_subscribe (newHeads, logs)",
            ),
        }));
    }
    findings.extend(together(all));
    findings
}

fn is_usable(endpoint: &EndpointCheckup) -> bool {
    endpoint.wrong_chain.is_none() && endpoint.head.is_ok()
}

fn is_fresh(endpoint: &EndpointCheckup, rules: &EndpointRules) -> bool {
    endpoint.head.as_ref().is_ok_and(|head| rules.now.since(head.time) <= rules.stall_after)
}

fn final_age(endpoint: &EndpointCheckup) -> Option<Span> {
    match (&endpoint.head, &endpoint.finalized) {
        (Ok(head), Ok(Some(finalized))) => Some(head.time.since(finalized.time)),
        _ => None,
    }
}

fn is_final(endpoint: &EndpointCheckup, rules: &EndpointRules) -> bool {
    final_age(endpoint).is_some_and(|age| age <= rules.stall_after)
}

fn reach(one: &EndpointCheckup, rules: &EndpointRules, says: &Says, unreachable: Grade, findings: &mut Vec<Finding>) {
    if let Some(said) = one.wrong_chain {
        let found = format!("it is on chain {said}, and chain.id is {}", rules.chain_id);
        findings.push(says.fail(found, "give the URL of a node of the configured chain, or correct chain.id"));
        return;
    }
    for (side, answer) in &one.sides {
        findings.push(match answer {
            Ok(()) => says.ok(format!("it answers over {side}, on chain {}", rules.chain_id)),
            Err(SideTrouble { why, is_reached }) => {
                let grade = if is_usable(one) { Grade::Warning } else { unreachable };
                let remedy = match is_reached {
                    true => format!("ask the provider what that means, or leave its {side} URL out"),
                    false => format!("check the {side} URL and its key with the provider, and the network from here"),
                };
                says.say(grade, format!("it cannot be used over {side}: {why}"), remedy)
            }
        });
    }
    if let (Err(why), true) = (&one.head, one.sides.iter().any(|(_, answer)| answer.is_ok())) {
        findings.push(says.say(unreachable, format!("it does not tell its newest block: {why}"), "ask the provider"));
    }
}

fn head(one: &EndpointCheckup, rules: &EndpointRules, says: &Says, stale: Grade) -> Option<Finding> {
    let Header { block, time, .. } = one.head.as_ref().ok()?;
    let age = rules.now.since(*time);
    let found = format!("its newest block is {}, made {} ago", block.number, words(age));
    if age > rules.stall_after {
        let remedy =
            "the node hangs, the chain stands still, or this machine's clock is ahead: compare with an explorer";
        return Some(says.say(stale, found, remedy));
    }
    if age > OLD_HEAD {
        return Some(says.warn(found, "the node lags: deposits are seen later; ask the provider if it stays so"));
    }
    Some(says.ok(found))
}

fn finality(one: &EndpointCheckup, rules: &EndpointRules, says: &Says, missing: Grade) -> Finding {
    match (&one.finalized, final_age(one)) {
        (Ok(Some(finalized)), Some(age)) => {
            let found =
                format!("its finalized block is {}, {} older than its newest", finalized.block.number, words(age));
            if age <= rules.stall_after {
                return says.ok(found);
            }
            let remedy = "nothing can be completed while finality stands still: compare with an explorer";
            says.say(missing, found, remedy)
        }
        (Err(why), _) => says.say(missing, format!("it does not tell its finalized block: {why}"), "ask the provider"),
        (Ok(_), _) => says.say(
            missing,
            "it has no block under the tag `finalized`",
            "use an endpoint that has one, or set chain.finality.rule = \"depth\" with a depth that you trust",
        ),
    }
}

fn logs(one: &EndpointCheckup, says: &Says, missing: Grade) -> Finding {
    let remedy = "deposits are read with eth_getLogs: use another endpoint or plan";
    match &one.logs {
        Err(why) => says.say(missing, format!("it does not give logs: {why}"), remedy),
        Ok(range) => {
            let said = range.said.as_ref().map_or_else(String::new, |(_, said)| format!(" ({said})"));
            let (taken, asked) = (range.taken, range.asked);
            if taken == 0 {
                return says.say(missing, format!("it gives no logs, not even of few blocks{said}"), remedy);
            }
            if taken >= asked {
                return says.ok(format!("it gives the logs of {taken} blocks at once"));
            }
            let found = format!("it gives the logs of {taken} blocks at once, and not of {asked}{said}");
            says.warn(found, match range.said.as_ref().map(|(about, _)| about) {
                Some(LogRefusal::History) => {
                    "it no longer has what is so old: a deposit from before that is not found; add an endpoint that keeps more".to_owned()
                }
                Some(LogRefusal::Unknown) => {
                    "what it says is not understood, so this may or may not be about the number of blocks; rampwatch asks for less \
                     by itself; ask the provider".to_owned()
                }
                Some(LogRefusal::Size) | None => format!(
                    "rampwatch asks for less by itself; rpc.max_block_range = {taken} spares the questions that fail, and \
                     catching up after a stop takes longer"
                ),
            })
        }
    }
}

/// What not every endpoint can do. Each is about that ability alone.
fn abilities(one: &EndpointCheckup, says: &Says, unfiltered: Grade, unreceipted: Grade) -> Vec<Finding> {
    let AbilityCheckup { batch, filters, receipts, history } = &one.abilities;
    let mut findings = Vec::new();
    findings.extend(batch.as_ref().ok().map(|taken| match taken {
        1 => says.warn(
            "it takes no batches: each question is a request of its own",
            "everything works, with more requests: see that the plan allows them",
        ),
        taken => says.ok(format!("it takes {taken} calls in one batch")),
    }));
    findings.push(match filters {
        Ok(Some(true)) => says.ok("its logs by recipient have a transfer that is there"),
        Ok(Some(false)) => says.say(
            unfiltered,
            "its logs by recipient lack a transfer that its logs without one have",
            "deposits would not be found there: use another endpoint, and tell the provider that its log index is broken",
        ),
        Ok(None) => says.ok("nobody has sent the token in its newest blocks: its logs by recipient could not be tried"),
        Err(why) => says.warn(
            format!("its logs by recipient could not be tried: {why}"),
            "why is not clear from what it says; run rampwatch doctor again, and ask the provider if it stays so",
        ),
    });
    match receipts {
        Ok(Some(true) | None) => {}
        Ok(Some(false)) => findings.push(says.say(
            unreceipted,
            "it has no receipt of a transfer that its logs have",
            "transfers of the wallet, and what operators agree upon, are proven by receipts: use another endpoint if it stays so",
        )),
        Err(why) => findings.push(says.say(
            unreceipted,
            format!("it gives no receipts for now: {why}"),
            "orders wait for their receipts meanwhile; ask the provider if it stays so",
        )),
    }
    if let Ok(Some(said)) = history {
        findings.push(says.warn(
            format!("it no longer has the logs of a day ago ({said})"),
            "after a longer stop, what came in meanwhile cannot be found there: add an endpoint that keeps more (an archive node)",
        ));
    }
    findings
}

fn together(all: &[EndpointCheckup]) -> Vec<Finding> {
    let says = Says::of("endpoints", "");
    let mut findings = Vec::new();
    if all.len() == 1 {
        let remedy = "add a second one of another provider: every range is then read by both, and one may fail";
        findings.push(says.warn("there is only one", remedy));
    }
    if all.iter().all(|endpoint| endpoint.push.is_none()) {
        let remedy = "give a ws URL: deposits are then seen at once, and not only at the next poll";
        findings.push(says.warn("none has a websocket", remedy));
    }
    findings
}

/// Whether the endpoints have the same block at a height that all should have. `is_final`: whether they call it final.
#[must_use]
pub fn agreement(at: &HashesAt, is_final: bool) -> Finding {
    let says = Says::of("agreement", "");
    let kind = if is_final { "final block" } else { "block" };
    let told: Vec<(&str, Option<B256>)> =
        at.hashes.iter().filter_map(|(name, hash)| Some((name.as_str(), *hash.as_ref().ok()?))).collect();
    let known: Vec<(&str, B256)> = told.iter().filter_map(|(name, hash)| Some((*name, (*hash)?))).collect();
    let first = known.first().map(|(_, hash)| *hash);
    if known.iter().any(|(_, hash)| Some(*hash) != first) {
        let each: Vec<String> = known.iter().map(|(name, hash)| format!("{name} has {hash}")).collect();
        let found = format!("the endpoints disagree on the {kind} {}: {}", at.number, each.join(", "));
        let remedy = "one of them is on a fork or lies: compare with an explorer, and take the wrong one out";
        return if is_final { says.fail(found, remedy) } else { says.warn(found, remedy) };
    }
    let silent = at.hashes.len().saturating_sub(known.len());
    if silent > 0 || known.len() < 2 {
        let found = format!("{} of {} endpoints tell their {kind} {}", known.len(), at.hashes.len(), at.number);
        let remedy = "with fewer than two answers nobody can disagree: see the endpoints above";
        return if known.is_empty() { says.warn(found, remedy) } else { says.ok(found) };
    }
    says.ok(format!("{} endpoints have the same {kind} {}", known.len(), at.number))
}
