//! What each key means, its default, and what it may be. The defaults are the values of the documented example.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use secrecy::SecretString;
use url::Url;

use crate::domain::amount::Amount;
use crate::domain::operator::Operator;
use crate::domain::time::Span;

use super::environment::Variables;
use super::funding;
use super::http;
use super::intake;
use super::network;
use super::notify;
use super::parse::{address, base_url, endpoint_name, host, label, path, rpc_url, variable_name};
use super::payouts;
use super::reader::{Notes, Section, Show};
use super::span::write_span;
use super::tree::Entry;
use super::webhook;
use super::{
    ApiSettings, ChainSettings, DEVELOPMENT_CHAIN_ID, EndpointSettings, FinalityRule, FinalitySettings, KeySource,
    LogFormat, LogSettings, MatchingSettings, POLYGON_CHAIN_ID, RpcSettings, SANDBOX_CHAIN_ID, Settings, StoreSettings,
    Token, WatchSettings,
};

/// The most tokens, endpoints and so on that a list may have.
const MAX_ITEMS: usize = 32;
/// The largest tolerance, in whole units: more is no rounding or fee, but another payment.
const MAX_TOLERANCE_UNITS: u128 = 1_000;

const fn ms(count: u64) -> Span {
    Span::from_millis(count)
}
const fn secs(count: u64) -> Span {
    Span::from_secs(count)
}
const HOUR: Span = secs(3_600);
const DAY: Span = secs(86_400);

/// Reads the whole tree. `None` only if a problem was noted.
pub(super) fn read(
    tree: BTreeMap<String, Entry>,
    notes: &Notes,
    file: &Path,
    variables: &Variables<'_>,
) -> Option<Settings> {
    let base = file.parent().unwrap_or(Path::new(""));
    let mut root = Section::root(tree, notes);
    let shadow = root.flag("shadow", false);
    let docs_url = root.or("docs_url", "docs".to_owned(), docs_url);
    let chain = chain(root.section("chain"), notes);
    let rpc = rpc(root.section("rpc"));
    let network = network::network(root.section("network"), base);
    let api = api(root.section("api"), base, variables);
    let store = store(root.section("store"), base);
    let watch = watch(root.section("watch"));
    let matching = matching(root.section("matching"), chain.as_ref().map(|chain| chain.token.decimals));
    let http = http::http(root.section("http"), base, store.as_ref());
    let log = log(root.section("log"));
    let decimals = chain.as_ref().map(|chain| chain.token.decimals);
    let has_wallet = root.has("wallet");
    let live_chain = chain.as_ref().filter(|chain| chain.live).map(|chain| chain.id);
    let wallet = funding::wallet(root.optional_section("wallet"), base, variables, live_chain);
    let funding = funding::funding(root.section("funding"), decimals, has_wallet);
    let intake = intake::intake(root.section("intake"));
    let webhook = webhook::webhook(root.section("webhook"), base, variables);
    let payouts = payouts::payouts(root.section("payouts"));
    let notify_given = root.has("notify");
    let notify = notify::notify(root.optional_section("notify"), base, variables, decimals, has_wallet);
    root.finish(
        "shadow, docs_url, chain, rpc, network, api, store, watch, matching, http, log, wallet, funding, intake, webhook, payouts, notify",
    );
    // A section that is there and wrong is told by the notes; without one of them it counts.
    (notify.is_some() || !notify_given).then_some(())?;
    Some(Settings {
        file: file.to_path_buf(),
        shadow: shadow?,
        docs_url: docs_url?,
        chain: chain?,
        rpc: rpc?,
        network: network?,
        api: api?,
        store: store?,
        watch: watch?,
        matching: matching?,
        http: http?,
        log: log?,
        wallet,
        funding: funding?,
        intake: intake?,
        webhook: webhook?,
        payouts: payouts?,
        notify,
    })
}

/// Where the documentation is served.
fn docs_url(text: &str) -> Result<String, String> {
    let is_open = |url: &Url| url.username().is_empty() && url.password().is_none();
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && is_open(url));
    let url = url.ok_or("it is not a web address without a password, such as https://wiki.example/rampwatch/docs")?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn chain(mut section: Section<'_>, notes: &Notes) -> Option<ChainSettings> {
    let id = section.number("id", None, 1..=u64::from(u32::MAX));
    let name = section.required("name", Show::Value, "give what the API calls the chain, such as \"polygon\"", label);
    let token = token(section.section("token"));
    let others = section.list("other_tokens");
    if others.len() > MAX_ITEMS {
        section.complain("other_tokens", format!("there may be at most {MAX_ITEMS}"));
    }
    let mut other_tokens: Vec<Token> = Vec::new();
    for other in others {
        let key = other.key("address");
        let Some(other) = self::token(other) else { continue };
        if token.as_ref().is_some_and(|token| token.address == other.address) {
            notes.complain(&key, "it is chain.token itself, which is watched anyway: remove it here");
        } else if other_tokens.iter().any(|known| known.address == other.address) {
            notes.complain(&key, "it is there twice: remove one");
        }
        other_tokens.push(other);
    }
    let finality = finality(section.section("finality"), id);
    let live = section.flag("live", id.is_some_and(|id| id != SANDBOX_CHAIN_ID && id != DEVELOPMENT_CHAIN_ID));
    if live == Some(false) && id == Some(POLYGON_CHAIN_ID) {
        section.complain("live", "Polygon (chain.id = 137) is live: the money there is real");
    }
    section.finish("id, name, live, token, other_tokens, finality");
    Some(ChainSettings { id: id?, name: name?, live: live?, token: token?, other_tokens, finality: finality? })
}

fn token(mut section: Section<'_>) -> Option<Token> {
    let address = section.required("address", Show::Value, "give the token contract's address", address);
    let symbol = section.required("symbol", Show::Value, "give what people call the token", label);
    let decimals = section.number("decimals", None, 0..=30);
    section.finish("address, symbol, decimals");
    Some(Token { address: address?, symbol: symbol?, decimals: u8::try_from(decimals?).ok()? })
}

fn finality(mut section: Section<'_>, chain_id: Option<u64>) -> Option<FinalitySettings> {
    let remedy = "give \"finalized\" (the node's tag, and `depth` as a floor) or \"depth\" (alone)";
    let rule = section.required("rule", Show::Value, remedy, |text| match text {
        "finalized" => Ok(FinalityRule::Finalized),
        "depth" => Ok(FinalityRule::Depth),
        _ => Err("it must be \"finalized\" or \"depth\"".to_owned()),
    });
    let depth = section.number("depth", None, 0..=100_000);
    if rule == Some(FinalityRule::Depth) && depth == Some(0) && chain_id != Some(SANDBOX_CHAIN_ID) {
        let text = "with rule = \"depth\" it must be at least 1, or the newest block would count as final";
        section.complain("depth", text);
    }
    let stall_after = section.span("stall_after", secs(120), secs(1)..=DAY);
    section.finish("rule, depth, stall_after");
    Some(FinalitySettings { rule: rule?, depth: depth?, stall_after: stall_after? })
}

fn rpc(mut section: Section<'_>) -> Option<RpcSettings> {
    let connect_timeout = section.span("connect_timeout", secs(5), ms(50)..=secs(300));
    let request_timeout = section.span("request_timeout", secs(10), ms(50)..=secs(300));
    if let (Some(connect), Some(request)) = (connect_timeout, request_timeout)
        && connect > request
    {
        let text = format!("it must not be longer than request_timeout ({})", write_span(request));
        section.complain("connect_timeout", text);
    }
    // A chain's heads come every second or two: less would drop every connection that works.
    let silence_timeout = section.span("silence_timeout", secs(30), secs(2)..=HOUR);
    let max_block_range = section.number("max_block_range", Some(2_000), 1..=1_000_000);
    let max_addresses = section.number("max_addresses", Some(1_000), 1..=20_000);
    let max_in_flight = section.number("max_in_flight", Some(8), 1..=1_024);
    let given = section.has("agreement");
    let agreement = section.number("agreement", Some(1), 1..=32);
    let plain = section.texts("allow_plain_http", MAX_ITEMS, host);
    let endpoints = endpoints(&mut section, plain.as_deref());
    let agreement = agreement.and_then(|agreement| usize::try_from(agreement).ok());
    let operators = endpoints.as_deref().map(count_operators);
    if let (true, Some(agreement), Some(operators)) = (given, agreement, operators)
        && agreement > operators
    {
        let text =
            format!("the endpoints belong to {operators} operators: add an endpoint of another one, or lower it");
        section.complain("agreement", text);
    }
    section.finish(
        "connect_timeout, request_timeout, silence_timeout, max_block_range, max_addresses, max_in_flight, agreement, \
         allow_plain_http, endpoints",
    );
    Some(RpcSettings {
        connect_timeout: connect_timeout?,
        request_timeout: request_timeout?,
        silence_timeout: silence_timeout?,
        max_block_range: max_block_range?,
        max_addresses: usize::try_from(max_addresses?).ok()?,
        max_in_flight: usize::try_from(max_in_flight?).ok()?,
        agreement: if given { agreement? } else { operators?.min(USUAL_AGREEMENT) },
        endpoints: endpoints?,
    })
}

/// How many operators must agree where nothing is configured, if there are so many.
const USUAL_AGREEMENT: usize = 2;

fn count_operators(endpoints: &[EndpointSettings]) -> usize {
    endpoints.iter().map(|endpoint| &endpoint.operator).collect::<BTreeSet<_>>().len()
}

fn endpoints(rpc: &mut Section<'_>, plain: Option<&[String]>) -> Option<Vec<EndpointSettings>> {
    let given = rpc.has("endpoints");
    let sections = rpc.list("endpoints");
    let expected = sections.len();
    if rpc.wrong("endpoints") {
        return None;
    }
    if expected == 0 {
        let text = if given { "it is empty" } else { "it is missing" };
        rpc.complain("endpoints", format!("{text}: give at least one, with a name and an http or a ws URL"));
        return None;
    }
    if expected > MAX_ITEMS {
        rpc.complain("endpoints", format!("there may be at most {MAX_ITEMS}"));
    }
    let mut names: Vec<String> = Vec::new();
    let mut urls: Vec<Url> = Vec::new();
    let mut endpoints = Vec::new();
    for mut section in sections {
        let name = section.required("name", Show::Value, "give a short name for logs and metrics", endpoint_name);
        if let Some(name) = &name {
            if names.contains(name) {
                section.complain("name", "another endpoint has the same name: give each its own");
            }
            names.push(name.clone());
        }
        let http = section.removable("http", Show::Nothing, |text| rpc_url(text, ["http", "https"], plain));
        let ws = section.removable("ws", Show::Nothing, |text| rpc_url(text, ["ws", "wss"], plain));
        if http.is_none() && ws.is_none() && !section.wrong("http") && !section.wrong("ws") {
            section.complain("http", "it is missing: an endpoint needs an http or a ws URL");
        }
        for (key, url) in [("http", &http), ("ws", &ws)] {
            let Some(url) = url else { continue };
            if urls.contains(url) {
                section.complain(key, "another endpoint has the same URL: a second opinion needs a second source");
            }
            urls.push(url.clone());
        }
        let operator = section.removable("operator", Show::Value, label);
        section.finish("name, operator, http, ws");
        let host = http.as_ref().or(ws.as_ref()).and_then(Url::host_str).unwrap_or_default().to_owned();
        let secret = |url: Url| SecretString::from(String::from(url));
        endpoints.extend(name.map(|name| EndpointSettings {
            operator: operator.as_deref().map_or_else(|| Operator::of_host(&name, &host), Operator::named),
            name,
            http: http.map(secret),
            ws: ws.map(secret),
        }));
    }
    (endpoints.len() == expected).then_some(endpoints)
}

fn api(mut section: Section<'_>, base: &Path, variables: &Variables<'_>) -> Option<ApiSettings> {
    let remedy = "give the API's address, such as \"https://api.sentra.xyz/api/v1\"";
    let base_url = section.required("base_url", Show::Nothing, remedy, base_url);
    let key_env = variables.name(&mut section, "key_env", variable_name);
    let key_file = section.removable("key_file", Show::Value, |text| path(base, text));
    let key_source = match (key_env, key_file) {
        (Some(_), Some(_)) => {
            section.complain("key_file", "api.key_env is given too: give exactly one of the two");
            None
        }
        (Some(name), None) => Some(KeySource::Variable { value: variables.held(&name), name }),
        (None, Some(path)) => Some(KeySource::File(path)),
        (None, None) => {
            if !section.wrong("key_env") && !section.wrong("key_file") {
                let text = "it is missing: name the environment variable that holds the API key, or give api.key_file";
                section.complain("key_env", text);
            }
            None
        }
    };
    let connect_timeout = section.span("connect_timeout", secs(5), ms(50)..=secs(300));
    let timeout = section.span("timeout", secs(30), ms(100)..=secs(300));
    if let (Some(connect), Some(whole)) = (connect_timeout, timeout)
        && connect >= whole
    {
        section.complain("connect_timeout", format!("it must be shorter than timeout ({})", write_span(whole)));
    }
    let max_concurrent = section.number("max_concurrent", Some(128), 1..=256);
    let end_confirm_after = section.span("end_confirm_after", secs(180), secs(1)..=DAY);
    section.finish("base_url, key_env, key_file, connect_timeout, timeout, max_concurrent, end_confirm_after");
    Some(ApiSettings {
        base_url: base_url?,
        key_source: key_source?,
        connect_timeout: connect_timeout?,
        timeout: timeout?,
        max_concurrent: usize::try_from(max_concurrent?).ok()?,
        end_confirm_after: end_confirm_after?,
    })
}

fn store(mut section: Section<'_>, base: &Path) -> Option<StoreSettings> {
    let store = section.required("path", Show::Value, "give a folder for the store", |text| path(base, text));
    section.finish("path");
    Some(StoreSettings { path: store? })
}

fn watch(mut section: Section<'_>) -> Option<WatchSettings> {
    let sweep_interval = section.span("sweep_interval", secs(60), ms(100)..=HOUR);
    let poll_interval = section.span("poll_interval", secs(40), ms(100)..=HOUR);
    let ended_interval = section.span("ended_interval", secs(300), ms(100)..=DAY);
    let overlap_blocks = section.number("overlap_blocks", Some(32), 0..=10_000);
    let start_margin = section.span("start_margin", secs(600), Span::ZERO..=DAY.times(7));
    let second_reading_after = section.span("second_reading_after", secs(300), ms(100)..=DAY);
    let keep_watching = section.span("keep_watching", DAY.times(7), ms(100)..=DAY.times(3_650));
    if let (Some(second), Some(keep)) = (second_reading_after, keep_watching)
        && second >= keep
    {
        let text = format!("it must be shorter than keep_watching ({}), or addresses close unread", write_span(keep));
        section.complain("second_reading_after", text);
    }
    section.finish(
        "sweep_interval, poll_interval, ended_interval, overlap_blocks, start_margin, second_reading_after, keep_watching",
    );
    Some(WatchSettings {
        sweep_interval: sweep_interval?,
        poll_interval: poll_interval?,
        ended_interval: ended_interval?,
        overlap_blocks: overlap_blocks?,
        start_margin: start_margin?,
        second_reading_after: second_reading_after?,
        keep_watching: keep_watching?,
    })
}

fn matching(mut section: Section<'_>, decimals: Option<u8>) -> Option<MatchingSettings> {
    // Without known decimals, the most that can be: the token's own problem is told already.
    let places = decimals.unwrap_or(30);
    let tolerance = |text: &str| {
        let amount = Amount::from_person(text, places).map_err(|error| error.to_string())?;
        let most = 10_u128.checked_pow(u32::from(places)).and_then(|unit| unit.checked_mul(MAX_TOLERANCE_UNITS));
        if most.is_some_and(|most| amount.base_units() <= most) {
            return Ok(amount);
        }
        Err(format!("it must be at most {MAX_TOLERANCE_UNITS} whole units of the token"))
    };
    let tolerance_under = section.or("tolerance_under", Amount::ZERO, tolerance);
    let tolerance_over = section.or("tolerance_over", Amount::ZERO, tolerance);
    let skew = section.span("skew", secs(120), Span::ZERO..=HOUR);
    section.finish("tolerance_under, tolerance_over, skew");
    Some(MatchingSettings { tolerance_under: tolerance_under?, tolerance_over: tolerance_over?, skew: skew? })
}

fn log(mut section: Section<'_>) -> Option<LogSettings> {
    let filter =
        section.or("filter", "info".to_owned(), |text| match tracing_subscriber::EnvFilter::builder().parse(text) {
            Ok(_) => Ok(text.to_owned()),
            Err(error) => Err(format!("it is no log filter ({error}): write it as in RUST_LOG, such as info")),
        });
    let format = section.or("format", LogFormat::Text, |text| match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("it must be \"text\" or \"json\"".to_owned()),
    });
    section.finish("filter, format");
    Some(LogSettings { filter: filter?, format: format? })
}
