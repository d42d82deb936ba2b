//! What is around the chain: tokens, the payment API, clocks, the store, private files, and a daemon that runs.

use super::{Finding, Grade, Says, words};
use crate::domain::chain::{Address, BlockNumber, Header};
use crate::domain::checkup::{ApiCheckup, DaemonCheckup, KeyWord, StoreCheckup, TokenCheckup, Told};
use crate::domain::time::{Span, Timestamp};

/// Clocks that differ by less are as good as the same: dates come in whole seconds.
const SAME_CLOCK: Span = Span::from_secs(5);
/// With less than this on the disk, the store may fail soon. An hour of a busy day writes some ten megabytes.
const LITTLE_SPACE: u64 = 1 << 30;
/// With less than this, a commit may fail, which ends the daemon.
const NO_SPACE: u64 = 100 << 20;
/// A daemon that watches and is so many blocks behind the nodes does not keep up.
const FAR_BEHIND: u64 = 150;

/// What a token's contract said, against what is configured. `pays`: whether it is the token that pays.
#[must_use]
pub fn token(symbol: &str, address: Address, decimals: u8, pays: bool, told: &Told<TokenCheckup>) -> Vec<Finding> {
    let says = Says::of("token", symbol);
    let checked = match told {
        Ok(checked) => checked,
        Err(why) => return vec![says.fail(format!("{address} cannot be asked: {why}"), "see the endpoints above")],
    };
    let key = if pays { "chain.token" } else { "chain.other_tokens" };
    if !checked.has_code {
        let found = format!("there is no contract at {address}");
        return vec![says.fail(found, format!("correct {key}.address: deposits would never be seen"))];
    }
    let mut findings = Vec::new();
    match &checked.decimals {
        Some(said) if *said == decimals.to_string() => {}
        said => {
            let said = said.as_deref().unwrap_or("none");
            let found = format!("{address} has {said} decimals, and {decimals} are configured");
            findings.push(says.fail(found, format!("correct {key}.address or .decimals: amounts would be wrong")));
        }
    }
    // Bridged and native tokens are easily taken for each other, and their own symbols do not tell them apart either.
    match &checked.symbol {
        Some(said) if !symbol.starts_with(said.as_str()) && !said.starts_with(symbol) => {
            let found = format!("{address} calls itself {said:?}");
            findings.push(says.warn(found, format!("see that {key}.address is the token that you mean")));
        }
        _ => {}
    }
    if checked.paused {
        let remedy = "nothing can move while it is paused: orders are held and go on by themselves";
        findings.push(says.warn(format!("{address} is paused"), remedy));
    }
    if findings.is_empty() {
        findings.push(says.ok(format!("{address} has {decimals} decimals, and is not paused")));
    }
    findings
}

/// What the payment API's answer says of the key.
#[must_use]
pub fn api(told: &Told<ApiCheckup>) -> Finding {
    let says = Says::of("api", "");
    match told {
        Err(why) => says.fail(
            why,
            "correct what it names: the key (api.key_env, api.key_file), the webhook's secret, or [network]",
        ),
        Ok(ApiCheckup { key, took, .. }) => match key {
            KeyWord::Taken => says.ok(format!("it takes the key; it answered within {}", words(*took))),
            KeyWord::Refused { status } => says.fail(
                format!("it refuses the key with HTTP {status}"),
                "give the right key for this api.base_url (development and live keys have different accounts)",
            ),
            KeyWord::Unclear { detail } => says.fail(
                format!("it gives no clear answer: {detail}"),
                "check api.base_url and the network from here; if both are right, the API is down",
            ),
        },
    }
}

/// This machine's clock against the payment API's. Early and late are judged by the API's times within `skew`.
#[must_use]
pub fn clock_of_api(checkup: &ApiCheckup, skew: Span) -> Option<Finding> {
    let date = checkup.date?;
    // The answer was written at some moment between asking and hearing, and its date is cut to the second.
    let (earliest, latest) = (checkup.asked_at.minus(Span::from_secs(1)), checkup.asked_at.plus(checkup.took));
    Some(clock("the payment API's", date.since(latest), earliest.since(date), skew))
}

/// This machine's clock against the time of the newest block. A block of the past says nothing; one of the future does.
#[must_use]
pub fn clock_of_chain(head: &Header, now: Timestamp, skew: Span) -> Finding {
    clock("the newest block's", head.time.since(now), Span::ZERO, skew)
}

fn clock(whose: &str, behind: Span, ahead: Span, skew: Span) -> Finding {
    let says = Says::of("clock", "");
    let (off, word) = if behind > ahead { (behind, "behind") } else { (ahead, "ahead of") };
    if off <= SAME_CLOCK {
        return says.ok(format!("this machine's clock agrees with {whose}"));
    }
    let grade = if off > skew { Grade::Failure } else { Grade::Warning };
    let found = format!("this machine's clock is {} {word} {whose}", words(off));
    says.say(grade, found, "set the clock, and keep it set (chrony or systemd-timesyncd): waiting times go by it")
}

/// What was found of the store's place. `known`: the schema version that this program writes.
#[must_use]
pub fn store(found: &StoreCheckup, known: u64) -> Vec<Finding> {
    let says = Says::of("store", "");
    let mut findings = Vec::new();
    match &found.place {
        Err(why) => findings.push(says.fail(why, "correct store.path, or the rights on it")),
        Ok(()) if !found.exists => findings.push(says.ok("there is none yet, and one can be made")),
        Ok(()) if found.in_use => findings.push(says.ok("it is in use by a process that runs")),
        Ok(()) => findings.push(says.ok("it can be kept, and nobody has it open")),
    }
    match &found.schema {
        Some(Ok(version)) if *version < known => findings.push(says.warn(
            format!("it has schema version {version}, which the next start takes to {known}"),
            "back it up first (rampwatch store backup): an older rampwatch refuses it afterwards",
        )),
        Some(Ok(version)) => findings.push(says.ok(format!("it has schema version {version}"))),
        Some(Err(why)) => findings.push(says.fail(why, "keep a copy of the folder before anything else")),
        None => {}
    }
    if let Some(mode) = found.mode.filter(|mode| mode & 0o077 != 0) {
        let text = format!("its folder can be reached by others (mode {mode:04o}): it tells who is paid how much");
        findings.push(says.warn(text, "chmod 700"));
    }
    findings.push(match &found.free_bytes {
        Ok(free) => {
            let text = format!("{} MiB are free on its disk", free >> 20);
            let remedy = "make room: a commit that cannot be written ends the daemon";
            match *free {
                free if free < NO_SPACE => says.fail(text, remedy),
                free if free < LITTLE_SPACE => says.warn(text, remedy),
                _ => says.ok(text),
            }
        }
        Err(why) => says.warn(format!("the free space on its disk is not known: {why}"), "look with df"),
    });
    findings
}

/// A file that holds a secret. `mode` is `None` when there is no such file; `made`: whether the first start makes it.
#[must_use]
pub fn private_file(key: &str, path: &str, mode: &Told<Option<u32>>, made: bool) -> Finding {
    let says = Says::of("files", key);
    match mode {
        Ok(Some(mode)) if mode & 0o077 != 0 => says.fail(
            format!("{path} can be reached by others (mode {mode:04o})"),
            "chmod 600, and give a new secret if somebody may have read this one; where it is mounted for you, mount it with mode \
             0400, or with 0440 for a group of this process (Kubernetes: defaultMode 0400 and the pod's fsGroup)",
        ),
        Ok(Some(_)) => says.ok(format!("{path} is private")),
        Ok(None) if made => says.ok(format!("{path} is not there; the first start makes it")),
        Ok(None) => says.fail(format!("{path} is not there"), format!("put it there with mode 0600, or correct {key}")),
        Err(why) => says.fail(format!("{path} cannot be looked at: {why}"), "correct the rights on its folder"),
    }
}

/// Proxies that variables name for other programs; `set`: those variables. Nothing goes through one but by `network.proxy`.
#[must_use]
pub fn unused_proxies(set: &[&str], configured: bool) -> Option<Finding> {
    let remedy = "set network.proxy if the way out leads through a proxy";
    unused(set, configured.then_some("network.proxy"), "no proxy is", remedy)
}

/// Authorities that variables name for other programs; `set`: those variables. Nobody is trusted for them.
#[must_use]
pub fn unused_authorities(set: &[&str], configured: bool) -> Option<Finding> {
    let remedy = "set network.ca_file if nodes or proxies have certificates of authorities of their own";
    unused(set, configured.then_some("network.ca_file"), "no certificate authority is", remedy)
}

fn unused(set: &[&str], instead: Option<&str>, what: &str, remedy: &str) -> Option<Finding> {
    let says = Says::of("network", "");
    let names = match set {
        [] => return None,
        set => set.join(", "),
    };
    let found = format!("{what} taken from variables, and these are set: {names}");
    Some(match instead {
        Some(key) => says.ok(format!("{found}; {key} counts")),
        None => says.warn(found, remedy),
    })
}

/// Whether anybody can look into the process's memory; `open`: what is open of it.
#[must_use]
pub fn memory(open: Option<&str>) -> Finding {
    let says = Says::of("memory", "");
    match open {
        None => says.ok("no core dumps, and no other process of the same user reads it"),
        Some(open) => says.warn(format!("{open}, and it holds keys"), "see what forbids prctl or setrlimit here"),
    }
}

/// The socket of the commands. `answers`: whether a daemon listens there, or why it must not be used.
#[must_use]
pub fn socket(path: &str, answers: &Told<bool>) -> Finding {
    let says = Says::of("files", "http.socket");
    match answers {
        Ok(true) => says.ok(format!("a daemon listens at {path}")),
        Ok(false) => says.ok(format!("nobody listens at {path}; `rampwatch run` does")),
        Err(why) => says.fail(why.clone(), "put it right: without the socket no command reaches the daemon"),
    }
}

/// What the daemon said of itself, and how it keeps up. `head`: the newest block that the nodes know.
#[must_use]
pub fn daemon(found: &DaemonCheckup, head: Option<BlockNumber>) -> Finding {
    let says = Says::of("daemon", "");
    let listed = |parts: &[(String, String)]| {
        parts.iter().map(|(part, word)| format!("{part}: {word}")).collect::<Vec<_>>().join(", ")
    };
    match found {
        DaemonCheckup::Down => says
            .warn("none answers at http.socket or http.listen", "start `rampwatch run`: nothing is watched without it"),
        DaemonCheckup::Ready { parts, head: known } => {
            let behind = head.zip(*known).map_or(0, |(head, known)| head.saturating_sub(known));
            let idle = parts.iter().any(|(part, word)| part == "chain" && word == "idle");
            let wallet = parts.iter().find(|(part, word)| part == "wallet" && !word.is_empty() && word != "ok");
            if behind > FAR_BEHIND && !idle {
                let text = format!("it says that it is ready, and is {behind} blocks behind the nodes");
                return says.warn(text, "look at its log for what it waits for");
            }
            if let Some((_, word)) = wallet {
                let remedy = "watching and completing go on; see `rampwatch wallet status`";
                return says.warn(format!("it is ready, and its wallet does not send: {word}"), remedy);
            }
            if let Some((_, word)) = parts.iter().find(|(part, _)| part == "unanswered") {
                let remedy =
                    "everything else goes on; its log and `rampwatch show` name what is asked for: ask the provider";
                return says.warn(format!("it is ready, and asks in vain: {word}"), remedy);
            }
            says.ok(format!("it is ready ({})", listed(parts)))
        }
        DaemonCheckup::NotReady { parts, .. } => {
            says.fail(format!("it is not ready ({})", listed(parts)), "look at its log; the checks above may say why")
        }
        DaemonCheckup::Strange { detail } => says.fail(
            format!("what listens at http.listen does not answer as rampwatch does: {detail}"),
            "another program has the port: give http.listen another one",
        ),
    }
}
