//! The sweep's question: all transfers of a range, in as many pieces as the endpoints want.
//!
//! Each piece is asked together with the header of its last block, the header first: a node that has the block when
//! it is asked for the logs can't leave them out for being behind, and if a reorg comes between the two, the anchor is
//! the old one, which then no longer stands.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use alloy::primitives::{Address, B256};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::domain::chain::{BlockNumber, Header, LogFilter, Transfer};
use crate::domain::operator::Operator;
use crate::ports::chain::{ChainError, EndpointId, Flaws, TransferPage, TransferQuery};

use super::abilities::Ability;
use super::budget::Budget;
use super::classify::Class;
use super::decode::{Side, Wanted};
use super::endpoint::Endpoint;
use super::failure::Failure;
use super::log_reading::{self, MAX_MALFORMED};
use super::named_limits::{suggested_blocks, suggested_recipients};
use super::pool::{Attempt, Pool};
use super::reads::{self, next};
use super::rpc;
use super::split::Piece;

struct Job {
    piece: Piece,
    attempt: Attempt,
    /// Whether its last block is asked for as the `finalized` one.
    tagged: bool,
    /// An answer with flaws, which is better than none.
    flawed: Option<Answer>,
}

struct Answer {
    endpoint: EndpointId,
    anchor: Header,
    /// Whether the endpoint gave the anchor as its `finalized` block.
    tagged: bool,
    transfers: Vec<Transfer>,
    malformed: Vec<String>,
    flaws: Flaws,
    /// Whether the endpoint contradicts itself, rather than tells of two moments.
    is_impossible: bool,
}

enum Step {
    Chosen(Job, Option<Arc<Endpoint>>),
    /// Others have taught meanwhile that the endpoint takes less, or have made it rest.
    Changed(Job),
    Asked(Job, Arc<Endpoint>, Result<Answer, Lesson>),
}

/// A question that failed, and whether it is worth asking again, in smaller parts.
struct Lesson {
    failure: Failure,
    smaller: bool,
}

/// Sorted and without doubles, as the decoder and the pieces need them.
struct Question {
    tokens: Arc<Vec<Address>>,
    accounts: Arc<Vec<Address>>,
    side: Side,
    /// The accounts are not named in the question.
    filter: LogFilter,
    avoid: Option<EndpointId>,
    by: Option<Operator>,
}

impl Question {
    fn job(&self, pool: &Pool, piece: Piece) -> Job {
        let mut attempt = match &self.by {
            Some(operator) => pool.attempt_of(Ability::Logs, operator),
            None => pool.attempt(Ability::Logs, self.avoid),
        };
        attempt.of_logs_since(piece.from);
        Job { piece, attempt, tagged: false, flawed: None }
    }
}

/// Answers the query. With [`Side::From`] its recipients are the senders that are asked after. `to_final`: its last block is
/// likely to be the `finalized` one, and is asked for as such, until an endpoint says that it is another.
pub(super) async fn transfers(
    pool: &Pool,
    max_in_flight: usize,
    query: &TransferQuery,
    side: Side,
    to_final: bool,
) -> Result<TransferPage, ChainError> {
    if query.from > query.to {
        return Err(ChainError::Behind(format!("asked for blocks {} to {}, which are none", query.from, query.to)));
    }
    let accounts = sorted(&query.recipients);
    if accounts.is_empty() || query.tokens.is_empty() {
        return nothing(pool, query).await;
    }
    let (filter, avoid, by) = (query.filter, query.avoid, query.by.clone());
    // Whom the question does not name need not be cut into pieces.
    let whole = Piece {
        from: query.from,
        to: query.to,
        first: 0,
        count: if filter == LogFilter::AnyRecipient { 1 } else { accounts.len() },
    };
    let question = Arc::new(Question { tokens: Arc::clone(&query.tokens), accounts, side, filter, avoid, by });
    let answers = ask_all(pool, max_in_flight, &question, whole, to_final).await?;
    merge(query.to, answers, side)
}

/// Sorted and each once. There may be a million of them, and whoever asks often has them so.
fn sorted(accounts: &Arc<Vec<Address>>) -> Arc<Vec<Address>> {
    if accounts.is_sorted_by(|one, next| one < next) {
        return Arc::clone(accounts);
    }
    let mut sorted = accounts.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    Arc::new(sorted)
}

/// Nobody to ask for: an empty filter would mean "any" to a node, so only the anchor is asked for.
async fn nothing(pool: &Pool, query: &TransferQuery) -> Result<TransferPage, ChainError> {
    let mut attempt = pool.attempt(Ability::Blocks, query.avoid);
    while let Some(endpoint) = attempt.next().await {
        let asked =
            async { read_anchor(query.to, false, &mut endpoint.ask(&[rpc::header_of(query.to)]).await?.into_iter()) };
        match asked.await {
            Ok(anchor) => {
                endpoint.worked(Ability::Blocks);
                let (transfers, malformed, flaws) = (Vec::new(), Vec::new(), Flaws::default());
                return Ok(TransferPage {
                    transfers,
                    anchor,
                    is_tagged: false,
                    endpoint: endpoint.id,
                    malformed,
                    flaws,
                });
            }
            Err(failure) => attempt.failed(&endpoint, &failure),
        }
    }
    Err(attempt.into_error())
}

async fn ask_all(
    pool: &Pool,
    max_in_flight: usize,
    question: &Arc<Question>,
    whole: Piece,
    mut to_final: bool,
) -> Result<Vec<Answer>, ChainError> {
    let job = |piece| question.job(pool, piece);
    let mut queue = VecDeque::from([job(whole)]);
    let mut running: FuturesUnordered<BoxFuture<'static, Step>> = FuturesUnordered::new();
    let (mut answers, mut budget) = (Vec::new(), Budget::default());
    loop {
        while running.len() < max_in_flight {
            let Some(job) = queue.pop_front() else { break };
            running.push(Box::pin(choose(job)));
        }
        let Some(step) = running.next().await else { return Ok(answers) };
        match step {
            Step::Chosen(mut job, None) => match job.flawed.take() {
                Some(answer) => answers.push(answer),
                None => return Err(job.attempt.into_error()),
            },
            Step::Chosen(mut chosen, Some(endpoint)) => {
                budget.ask()?;
                let limits = endpoint.limits();
                let (piece, rest) = chosen.piece.cut(limits.blocks(), limits.recipients());
                chosen.piece = piece;
                chosen.tagged = to_final && piece.to == whole.to;
                rest.into_iter().for_each(|piece| queue.push_front(job(piece)));
                running.push(Box::pin(ask(chosen, endpoint, Arc::clone(question))));
            }
            Step::Changed(job) => queue.push_front(job),
            Step::Asked(mut job, endpoint, Ok(answer)) => match pool.believe(&endpoint, &answer.anchor) {
                Ok(()) if answer.flaws.is_empty() => {
                    endpoint.worked(Ability::Logs);
                    budget.keep(answer.transfers.len())?;
                    answers.push(answer);
                }
                // Another endpoint may do better. If none does, all that is sound in it counts.
                Ok(()) => {
                    let class = if answer.is_impossible { Class::Impossible } else { Class::Inconsistent };
                    let failure = Failure::unreadable(answer.flaws.in_words());
                    job.attempt.failed(&endpoint, &Failure { class, ..failure });
                    if job.flawed.as_ref().is_none_or(|known| known.flaws.of.len() > answer.flaws.of.len()) {
                        budget.keep(answer.transfers.len())?;
                        job.flawed = Some(answer);
                    }
                    queue.push_front(job);
                }
                Err(failure) => {
                    job.attempt.failed(&endpoint, &failure);
                    queue.push_front(job);
                }
            },
            Step::Asked(mut job, endpoint, Err(Lesson { failure, smaller })) => {
                if smaller {
                    tracing::info!(
                        endpoint = %endpoint.name, class = failure.class.name(), error = %failure.text,
                        max_blocks = endpoint.limits().blocks(), max_recipients = endpoint.limits().recipients(),
                        "the endpoint wants smaller questions"
                    );
                    job.attempt.again(&endpoint);
                } else if job.tagged && matches!(failure.class, Class::Behind | Class::NoFinality) {
                    // The finalized block is another one, or there is none: no fault. The ordinary question goes to the same node.
                    to_final = false;
                    job.attempt.again(&endpoint);
                } else {
                    if failure.class == Class::NoHistory {
                        endpoint.has_no_logs_of(job.piece.from);
                    }
                    job.attempt.failed(&endpoint, &failure);
                }
                queue.push_front(job);
            }
        }
    }
}

async fn choose(mut job: Job) -> Step {
    let endpoint = job.attempt.next().await;
    Step::Chosen(job, endpoint)
}

/// Where the limits are unproven, one question goes ahead, of all that anybody asks of the endpoint, and pays for the
/// error, if there is one. The others wait for what it teaches.
async fn ask(mut job: Job, endpoint: Arc<Endpoint>, question: Arc<Question>) -> Step {
    let blocks = job.piece.blocks();
    let trial = if endpoint.limits().proven(blocks) { None } else { Some(endpoint.trial().await) };
    let limits = endpoint.limits();
    let too_large = blocks > limits.blocks() || job.piece.count > limits.recipients();
    if too_large || (trial.is_some() && endpoint.rests_until().is_some()) {
        drop(trial);
        job.attempt.again(&endpoint);
        return Step::Changed(job);
    }
    let trial = trial.filter(|_| !limits.proven(blocks));
    let result = ask_piece(&job.piece, &endpoint, &question, job.tagged).await;
    let result = match result {
        Ok(answer) => {
            endpoint.learn(|limits| limits.worked(blocks));
            Ok(answer)
        }
        Err(failure) => Err(Lesson { smaller: learn(&endpoint, &job.piece, &failure), failure }),
    };
    drop(trial);
    Step::Asked(job, endpoint, result)
}

async fn ask_piece(piece: &Piece, endpoint: &Endpoint, question: &Question, tagged: bool) -> Result<Answer, Failure> {
    let (tokens, side) = (&question.tokens, question.side);
    let any_recipient = question.filter == LogFilter::AnyRecipient;
    let accounts = if any_recipient { question.accounts.as_slice() } else { piece.recipients(&question.accounts) };
    let transfers = if any_recipient {
        rpc::everybodys_transfer_logs(piece.from, piece.to, tokens)
    } else {
        rpc::transfer_logs(piece.from, piece.to, tokens, accounts, side)
    };
    let anchor = if tagged { rpc::header_under("finalized") } else { rpc::header_of(piece.to) };
    let asks = [anchor, transfers];
    let mut answers = endpoint.ask(&asks).await?.into_iter();
    let anchor = read_anchor(piece.to, tagged, &mut answers)?;
    let logs = next(&mut answers)?;
    let wanted = Wanted { from: piece.from, to: piece.to, tokens, accounts, side };
    let read = log_reading::read(&logs, &wanted, anchor.block)?;
    drop(logs);
    let foreign = read.foreign;
    if foreign > 0 && !any_recipient {
        tracing::warn!(endpoint = %endpoint.name, logs = foreign, "logs came that were not asked for, or were taken back");
    }
    let (mut flaws, is_impossible) = (read.torn, !read.flaws.is_empty());
    flaws.extend(read.flaws);
    let (transfers, malformed) = (read.transfers, read.malformed);
    Ok(Answer { endpoint: endpoint.id, anchor, tagged, transfers, malformed, flaws, is_impossible })
}

fn read_anchor(
    number: BlockNumber,
    tagged: bool,
    answers: &mut std::vec::IntoIter<Result<Box<serde_json::value::RawValue>, Failure>>,
) -> Result<Header, Failure> {
    let anchor = rpc::read_header(&reads::next(answers)?)?
        .ok_or_else(|| Failure::new(Class::Behind, format!("block {number} is not there yet")))?;
    let given = anchor.block.number;
    if given != number && tagged {
        return Err(Failure::new(Class::Behind, format!("block {given} is finalized, not {number}")));
    }
    if given != number {
        return Err(Failure::unreadable("another block than the one asked for"));
    }
    Ok(anchor)
}

/// Takes a lesson from an error. True when the piece is worth asking again, in smaller parts.
fn learn(endpoint: &Endpoint, piece: &Piece, failure: &Failure) -> bool {
    let (blocks, count) = (piece.blocks(), piece.count);
    let suggested = suggested_blocks(failure.class, &failure.words, blocks);
    let about_size = matches!(failure.class, Class::Range | Class::Results | Class::Addresses | Class::Topics);
    endpoint.learn(|limits| {
        let smaller = match failure.class {
            Class::Range => limits.too_many_blocks(blocks, suggested) || limits.too_many_recipients(count, None),
            Class::Results => limits.too_much(blocks, suggested) || limits.too_many_recipients(count, None),
            Class::Addresses | Class::Topics => {
                let asked = u64::try_from(count).unwrap_or(u64::MAX);
                limits.too_many_recipients(count, suggested_recipients(&failure.words, asked))
            }
            _ => false,
        };
        match failure.class {
            // Even the smallest question is refused: it was never about the size, and nothing was learned.
            _ if about_size && !smaller => limits.forget(),
            // The question may have been too heavy. It is asked elsewhere first, and smaller from now on.
            Class::Timeout | Class::RetryOrSplit => drop(limits.too_much(blocks, None)),
            Class::RateLimit => limits.doubt(),
            _ => {}
        }
        smaller
    })
}

/// Notes a block's hash; an error when the same number has another hash.
fn agree(hashes: &mut BTreeMap<BlockNumber, B256>, number: BlockNumber, hash: B256) -> Result<(), String> {
    if *hashes.entry(number).or_insert(hash) == hash {
        return Ok(());
    }
    Err(format!("block {number} has two hashes in one answer"))
}

fn merge(to: BlockNumber, answers: Vec<Answer>, side: Side) -> Result<TransferPage, ChainError> {
    let mut hashes = BTreeMap::new();
    let mut transfers: Vec<Transfer> = Vec::new();
    let (mut malformed, mut flaws) = (BTreeSet::new(), Flaws::default());
    let mut last = None;
    // Each answer proves what it brought itself.
    let is_tagged = answers.iter().all(|answer| answer.tagged || answer.anchor.block.number < to);
    for answer in answers {
        let blocks = answer.transfers.iter().map(|transfer| transfer.block).chain([answer.anchor.block]);
        for block in blocks {
            agree(&mut hashes, block.number, block.hash).map_err(ChainError::Behind)?;
        }
        if transfers.is_empty() {
            transfers = answer.transfers;
        } else {
            transfers.extend(answer.transfers);
        }
        malformed.extend(answer.malformed);
        flaws.extend(answer.flaws);
        if answer.anchor.block.number == to {
            last = Some((answer.anchor, answer.endpoint));
        }
    }
    let Some((anchor, endpoint)) = last else {
        return Err(ChainError::Behind(format!("block {to} is in no answer")));
    };
    flaws.extend(log_reading::in_order(&mut transfers, side));
    let malformed = malformed.into_iter().take(MAX_MALFORMED).collect();
    Ok(TransferPage { transfers, anchor, is_tagged, endpoint, malformed, flaws })
}
