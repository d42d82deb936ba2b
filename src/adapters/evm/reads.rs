//! Single questions: the head, a header, finality, and a token's decimals.

use std::fmt;

use alloy::primitives::{Address, Bytes, U256};
use futures_util::stream::{StreamExt, TryStreamExt};
use serde_json::value::RawValue;

use crate::domain::chain::{B256, BlockNumber, Header, WitnessedHeader, is_one_chain};
use crate::domain::operator::Operator;
use crate::domain::testimony::{Statement, Testimony};
use crate::ports::chain::{ChainError, EndpointId, FinalityReport};

use super::abilities::Ability;
use super::classify::Class;
use super::conduct::MAX_LAG;
use super::endpoint::Endpoint;
use super::failure::Failure;
use super::pool::Pool;
use super::receipts;
use super::reply::Answers;
use super::rpc::{self, Ask};

/// How many headers are asked for in one batch. Providers take at least so many calls at once, those that take several.
const HEADERS_AT_ONCE: usize = 20;

/// The same, where the node's word on finality is asked for with them.
const WITNESSED_AT_ONCE: usize = HEADERS_AT_ONCE - 2;

/// How many words on the finalized block are heard where several nodes may have answered: as many nodes as that, taking turns,
/// are all heard.
const MORE_WORDS: usize = 4;

/// The answer to the next question, in the order of asking.
pub(super) fn next(answers: &mut std::vec::IntoIter<Result<Box<RawValue>, Failure>>) -> Result<Box<RawValue>, Failure> {
    answers.next().unwrap_or_else(|| Err(Failure::unreadable("an answer is missing")))
}

async fn one(endpoint: &Endpoint, ask: Ask) -> Result<Box<RawValue>, Failure> {
    let answers: Answers = endpoint.ask(&[ask]).await?;
    next(&mut answers.into_iter())
}

pub(super) async fn head(pool: &Pool) -> Result<Header, ChainError> {
    finality(pool, false).await.map(|report| report.head)
}

/// What an endpoint says of finality, and of its head. Another one is asked when the first hangs far behind the heads
/// that were seen before, has stood still for long, or has no finalized block or one that stands still, so that such a
/// node does not stop us while others go on. One that has lagged for long has no say in what is final.
pub(super) async fn finality(pool: &Pool, tag: bool) -> Result<FinalityReport, ChainError> {
    let mut attempt = pool.attempt(Ability::Blocks, None);
    let mut best: Option<FinalityReport> = None;
    let alone = pool.endpoints.len() == 1;
    while let Some(endpoint) = attempt.next().await {
        match finality_of(pool, &endpoint, tag).await {
            Ok(report) => {
                endpoint.worked(Ability::Blocks);
                let (number, highest) = (report.head.block.number, pool.highest());
                let hangs = number.saturating_add(MAX_LAG) < highest;
                let stands = |tag: Header| endpoint.conduct.finality_stands(tag.block.number);
                let is_final_known = !tag || report.finalized.is_some_and(|tag| !stands(tag));
                let is_enough = !hangs && is_final_known && !endpoint.conduct.is_to_be_compared();
                if alone || is_enough {
                    return Ok(report);
                }
                if hangs {
                    let text = format!("its head is {number}, but {highest} was seen");
                    attempt.failed(&endpoint, &Failure::new(Class::Behind, text));
                }
                best = best.filter(|best| says_more(best, &report)).or(Some(report));
            }
            Err(failure) => attempt.failed(&endpoint, &failure),
        }
        if best.is_some() && attempt.all_tried() {
            break;
        }
    }
    let Some(best) = best else { return Err(attempt.into_error()) };
    pool.settle_head(best.head.block.number);
    Ok(best)
}

/// Whether the first report says at least as much as the second: of finality first, then of the head.
fn says_more(one: &FinalityReport, other: &FinalityReport) -> bool {
    let word = |report: &FinalityReport| (report.finalized.map(|it| it.block.number), report.head.block.number);
    word(one) >= word(other)
}

fn read_head(answer: &RawValue) -> Result<Header, Failure> {
    rpc::read_header(answer)?.ok_or_else(|| Failure::unreadable("the node has no latest block"))
}

/// The header of a block. Another endpoint is asked when the first has no such block, though its number was reached.
pub(super) async fn header(
    pool: &Pool,
    number: BlockNumber,
    at: Option<EndpointId>,
) -> Result<Option<Header>, ChainError> {
    let mut attempt = at.map_or_else(|| pool.attempt(Ability::Blocks, None), |id| pool.attempt_at(Ability::Blocks, id));
    let mut absent = false;
    while let Some(endpoint) = attempt.next().await {
        match header_of(&endpoint, number).await {
            Ok(Some(header)) => {
                endpoint.worked(Ability::Blocks);
                return Ok(Some(header));
            }
            Ok(None) => {
                endpoint.worked(Ability::Blocks);
                absent = true;
                if number > pool.highest() {
                    return Ok(None);
                }
            }
            Err(failure) => attempt.failed(&endpoint, &failure),
        }
        if absent && attempt.all_tried() {
            break;
        }
    }
    if absent { Ok(None) } else { Err(attempt.into_error()) }
}

/// The headers of several blocks, some in each batch, several batches at once.
pub(super) async fn headers(
    pool: &Pool,
    max_in_flight: usize,
    numbers: &[BlockNumber],
    at: Option<EndpointId>,
) -> Result<Vec<Option<Header>>, ChainError> {
    // Owned pieces: a future that borrows its item cannot be sent to another thread from here.
    let pieces: Vec<Vec<BlockNumber>> = numbers.chunks(HEADERS_AT_ONCE).map(<[BlockNumber]>::to_vec).collect();
    let asked = pieces.into_iter().map(|piece| async move { piece_of_headers(pool, &piece, at).await });
    joined(max_in_flight, asked).await
}

/// Asks several at once, and puts the answers together in the order of asking; the first that fails ends it.
async fn joined<T>(
    max_in_flight: usize,
    asked: impl Iterator<Item = impl Future<Output = Result<Vec<T>, ChainError>>>,
) -> Result<Vec<T>, ChainError> {
    let pieces: Vec<Vec<T>> = futures_util::stream::iter(asked).buffered(max_in_flight).try_collect().await?;
    Ok(pieces.into_iter().flatten().collect())
}

async fn piece_of_headers(
    pool: &Pool,
    numbers: &[BlockNumber],
    at: Option<EndpointId>,
) -> Result<Vec<Option<Header>>, ChainError> {
    let mut attempt = at.map_or_else(|| pool.attempt(Ability::Blocks, None), |id| pool.attempt_at(Ability::Blocks, id));
    while let Some(endpoint) = attempt.next().await {
        match headers_of(&endpoint, numbers).await {
            Ok(headers) if headers.iter().all(Option::is_some) => {
                endpoint.worked(Ability::Blocks);
                return Ok(headers);
            }
            // One that is missing here is looked for as a single one is, elsewhere too.
            Ok(_) => break,
            Err(failure) => {
                let is_one = failure.is_about_the_question() && numbers.len() > 1;
                attempt.failed(&endpoint, &failure);
                if is_one {
                    break;
                }
            }
        }
    }
    one_by_one(pool, numbers, at).await
}

/// Each header by itself. One that nobody can tell is missing from the answer, and takes nothing away from the others.
async fn one_by_one(
    pool: &Pool,
    numbers: &[BlockNumber],
    at: Option<EndpointId>,
) -> Result<Vec<Option<Header>>, ChainError> {
    let (mut headers, mut refused) = (Vec::with_capacity(numbers.len()), None);
    for number in numbers {
        match header(pool, *number, at).await {
            Ok(header) => headers.push(header),
            Err(error @ ChainError::Refused(_)) => {
                headers.push(None);
                refused = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    match refused {
        Some(error) if headers.iter().all(Option::is_none) => Err(error),
        _ => Ok(headers),
    }
}

async fn headers_of(endpoint: &Endpoint, numbers: &[BlockNumber]) -> Result<Vec<Option<Header>>, Failure> {
    let asks: Vec<Ask> = numbers.iter().map(|number| rpc::header_of(*number).that_may_fail()).collect();
    let mut answers = endpoint.ask(&asks).await?.into_iter();
    let headers = numbers.iter().map(|number| read_header_of(*number, next(&mut answers)));
    headers.collect()
}

async fn header_of(endpoint: &Endpoint, number: BlockNumber) -> Result<Option<Header>, Failure> {
    read_header_of(number, one(endpoint, rpc::header_of(number)).await)
}

/// The headers of several blocks, some in each request, each request with the question for finality; several at once.
pub(super) async fn witnessed(
    pool: &Pool,
    max_in_flight: usize,
    numbers: &[BlockNumber],
    tag: bool,
    at: EndpointId,
) -> Result<Vec<WitnessedHeader>, ChainError> {
    let pieces: Vec<Vec<BlockNumber>> = numbers.chunks(WITNESSED_AT_ONCE).map(<[BlockNumber]>::to_vec).collect();
    let asked = pieces.into_iter().map(|piece| async move { piece_of_witnessed(pool, &piece, tag, at).await });
    joined(max_in_flight, asked).await
}

async fn piece_of_witnessed(
    pool: &Pool,
    numbers: &[BlockNumber],
    tag: bool,
    at: EndpointId,
) -> Result<Vec<WitnessedHeader>, ChainError> {
    let mut attempt = pool.attempt_at(Ability::Blocks, at);
    let mut partly: Option<Vec<WitnessedHeader>> = None;
    while let Some(endpoint) = attempt.next().await {
        match witnessed_of(pool, &endpoint, numbers, tag).await {
            Ok(headers) => {
                endpoint.worked(Ability::Blocks);
                if headers.iter().all(|witnessed| witnessed.header.is_some()) {
                    return Ok(headers);
                }
                partly = partly.or(Some(headers));
            }
            Err(failure) => attempt.failed(&endpoint, &failure),
        }
        if partly.is_some() && attempt.all_tried() {
            break;
        }
    }
    partly.ok_or_else(|| attempt.into_error())
}

/// What an endpoint says in one request of the finalized block, of its head, and of some blocks.
struct Heard {
    /// The lowest of the words on it; `None` when one of the nodes has none.
    finalized: Option<Header>,
    head: Header,
    headers: Vec<Option<Header>>,
    /// The answers to what was asked besides.
    besides: Answers,
    /// Whether what is final of it, or may be, is of one chain.
    fits: bool,
}

impl Heard {
    /// Whether all of it can be one node's word.
    fn agrees(&self) -> bool {
        self.fits && !self.is_above_head()
    }

    fn is_above_head(&self) -> bool {
        self.finalized.is_some_and(|finalized| finalized.block.number > self.head.block.number)
    }
}

/// The head is asked for after the finalized block, and so can't be below it. The headers come last: a node that catches up in
/// between gives those of the blocks that it called final.
async fn hear(endpoint: &Endpoint, numbers: &[BlockNumber], besides: &[Ask], words: usize) -> Result<Heard, Failure> {
    let mut asks: Vec<Ask> = (0..words).map(|_| rpc::header_under("finalized").that_may_fail()).collect();
    asks.push(rpc::header_under("latest"));
    asks.extend(numbers.iter().map(|number| rpc::header_of(*number).that_may_fail()));
    asks.extend_from_slice(besides);
    let mut answers = endpoint.ask(&asks).await?.into_iter();
    let words = (0..words).map(|_| read_finalized(next(&mut answers))).collect::<Result<Vec<_>, Failure>>()?;
    let head = read_head(&next(&mut answers)?)?;
    let headers = numbers.iter().map(|number| told_header_of(*number, next(&mut answers)));
    let headers = headers.collect::<Result<Vec<Option<Header>>, Failure>>()?;
    let all: Vec<Header> = words.iter().chain(&headers).copied().flatten().chain([head]).collect();
    let words: Option<Vec<Header>> = words.into_iter().collect();
    let finalized = words.and_then(|words| words.into_iter().min_by_key(|word| word.block.number));
    // What is above the finalized block may be replaced at any moment, between two of the answers too.
    let last = finalized.map_or(BlockNumber::MAX, |finalized| finalized.block.number);
    let fits = is_one_chain(all.into_iter().filter(|header| header.block.number <= last));
    Ok(Heard { finalized, head, headers, besides: answers.collect(), fits })
}

/// Hears what one node says of all of it. Behind a balancer that deals the calls of a request out, several may have answered;
/// where that shows, all is asked again with more words on finality, of which the lowest counts: what the node that hangs
/// behind calls final too, no node has otherwise. If they contradict each other even so, nothing is believed but the head.
///
/// A head that cannot be makes all of it worth nothing. What an endpoint that has no say calls final is left out.
async fn word_of(
    pool: &Pool,
    endpoint: &Endpoint,
    numbers: &[BlockNumber],
    besides: &[Ask],
    tag: bool,
) -> Result<Heard, Failure> {
    let heard = fitting_word_of(endpoint, numbers, besides, tag).await?;
    pool.believe(endpoint, &heard.head)?;
    let has_say = pool.endpoints.len() == 1 || !endpoint.is_stalled();
    Ok(Heard { finalized: heard.finalized.filter(|_| has_say), ..heard })
}

async fn fitting_word_of(
    endpoint: &Endpoint,
    numbers: &[BlockNumber],
    besides: &[Ask],
    tag: bool,
) -> Result<Heard, Failure> {
    let words = match (tag, endpoint.is_shared()) {
        (false, _) => 0,
        (true, false) => 1,
        (true, true) => MORE_WORDS,
    };
    let heard = hear(endpoint, numbers, besides, words).await?;
    if heard.agrees() {
        return Ok(heard);
    }
    if heard.is_above_head() {
        endpoint.found_shared();
    }
    let again = hear(endpoint, numbers, besides, if tag { MORE_WORDS } else { 0 }).await?;
    if again.agrees() {
        return Ok(again);
    }
    let (finalized, head) = (again.finalized.map(|it| it.block.number), again.head.block.number);
    tracing::warn!(endpoint = %endpoint.name, finalized, head, "what it says is of several chains, and not believed");
    Ok(Heard { finalized: None, headers: vec![None; numbers.len()], ..again })
}

async fn witnessed_of(
    pool: &Pool,
    endpoint: &Endpoint,
    numbers: &[BlockNumber],
    tag: bool,
) -> Result<Vec<WitnessedHeader>, Failure> {
    let Heard { finalized, head, headers, .. } = word_of(pool, endpoint, numbers, &[], tag).await?;
    Ok(headers.into_iter().map(|header| WitnessedHeader { header, finalized, head }).collect())
}

/// The answer to the question for the finalized block; `None` when the node has none.
fn read_finalized(answer: Result<Box<RawValue>, Failure>) -> Result<Option<Header>, Failure> {
    match answer {
        Ok(answer) => rpc::read_header(&answer),
        Err(failure) if failure.class == Class::NoFinality || failure.class.is_behind() => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// The same, where one block that a node cannot tell of must not keep the others from being heard: it counts as missing.
fn told_header_of(number: BlockNumber, answer: Result<Box<RawValue>, Failure>) -> Result<Option<Header>, Failure> {
    match read_header_of(number, answer) {
        Err(failure) if failure.is_about_the_question() => {
            tracing::debug!(number, error = %failure.text, "a node does not tell of a block");
            Ok(None)
        }
        told => told,
    }
}

fn read_header_of(number: BlockNumber, answer: Result<Box<RawValue>, Failure>) -> Result<Option<Header>, Failure> {
    let answer = match answer {
        Err(failure) if failure.class == Class::Behind => return Ok(None),
        other => other?,
    };
    let header = rpc::read_header(&answer)?;
    if header.is_some_and(|header| header.block.number != number) {
        return Err(Failure::unreadable("another block than the one asked for"));
    }
    Ok(header)
}

async fn finality_of(pool: &Pool, endpoint: &Endpoint, tag: bool) -> Result<FinalityReport, Failure> {
    let Heard { finalized, head, .. } = word_of(pool, endpoint, &[], &[], tag).await?;
    Ok(FinalityReport { finalized, head, endpoint: endpoint.id })
}

/// What one of the operator's nodes says of a transaction and of finality, in one request; another of its endpoints is asked
/// when the first gives no answer.
pub(super) async fn testify(pool: &Pool, operator: &Operator, tx_hash: B256, tag: bool) -> Testimony {
    let mut attempt = pool.attempt_of(Ability::Receipts, operator);
    let mut asked = String::new();
    while let Some(endpoint) = attempt.next().await {
        asked.clone_from(&endpoint.name);
        match statement_of(pool, &endpoint, tx_hash, tag).await {
            Ok(statement) => {
                endpoint.worked(Ability::Receipts);
                return Testimony { operator: operator.clone(), endpoint: asked, statement: Ok(statement) };
            }
            Err(failure) => attempt.failed(&endpoint, &failure),
        }
    }
    let statement = Err(attempt.into_error().to_string());
    Testimony { operator: operator.clone(), endpoint: asked, statement }
}

async fn statement_of(pool: &Pool, endpoint: &Endpoint, tx_hash: B256, tag: bool) -> Result<Statement, Failure> {
    let besides = [receipts::ask_for(tx_hash)];
    let Heard { finalized, head, besides, .. } = word_of(pool, endpoint, &[], &besides, tag).await?;
    let receipt = receipts::read(&next(&mut besides.into_iter())?, tx_hash)?;
    Ok(Statement { head, finalized, receipt })
}

/// What a token says of its decimals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decimals {
    Are(U256),
    /// No number: what came instead, in words.
    Untold(String),
}

impl fmt::Display for Decimals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Are(number) => number.fmt(f),
            Self::Untold(why) => write!(f, "{why:?}"),
        }
    }
}

/// What a token says of its decimals, at this endpoint or at any.
pub(super) async fn decimals(pool: &Pool, token: Address, at: Option<EndpointId>) -> Result<Decimals, ChainError> {
    let mut attempt = at.map_or_else(|| pool.attempt(Ability::State, None), |id| pool.attempt_at(Ability::State, id));
    while let Some(endpoint) = attempt.next().await {
        let answer = match one(&endpoint, rpc::decimals_of(token)).await {
            Ok(answer) => rpc::read::<Bytes>(&answer, "bytes"),
            Err(failure) if failure.class == Class::Reverted => return Ok(Decimals::Untold(failure.text)),
            Err(failure) => Err(failure),
        };
        match answer {
            Ok(bytes) => {
                endpoint.worked(Ability::State);
                let word = <[u8; 32]>::try_from(bytes.as_ref());
                let none = || format!("{} bytes came, where a number has 32", bytes.len());
                return Ok(
                    word.map_or_else(|_| Decimals::Untold(none()), |word| Decimals::Are(U256::from_be_bytes(word)))
                );
            }
            Err(failure) => attempt.failed(&endpoint, &failure),
        }
    }
    Err(attempt.into_error())
}
