//! The last look before a completion is called: payment and deposit still belong together, the deposit's block is final and
//! still on the chain, and enough operators say so.

use super::{Completer, LOOK_AGAIN};
use crate::domain::chain::{B256, WitnessedHeader};
use crate::domain::deposit::{BlockStatus, Deposit};
use crate::domain::dispute::Matter;
use crate::domain::operator::Operator;
use crate::domain::payment::Payment;
use crate::domain::time::{Span, Timestamp};
use crate::engine::agreement::{ASK_AGAIN, Answer, Question, TOLD_AFTER, Witnesses, witnesses};
use crate::planted::{Bug, planted};
use crate::policy::evidence::{Claim, Did, Freeing, Movement, Proof, prove};
use crate::policy::finality::{self, final_number};
use crate::policy::last_look::{Objection, may_call};
use crate::ports::chain::{ChainError, FinalityReport};
use crate::ports::store::StoreError;

/// What the last look at a deposit came to.
pub(super) enum Look {
    /// The completion may be called: the deposit stands and is final, and enough operators say so.
    Good(Proof),
    /// Whoever showed the deposit does not any more, and nobody else does.
    Disowned,
    /// Not now; look again soon.
    NotYet(String),
    /// Operators do not agree, or contradict each other; it costs each of them a question to look again.
    Unagreed {
        /// Why, in words.
        why: String,
        /// How soon it is worth asking again.
        again: Span,
    },
    /// The deposit is not on the chain any more; what is at its height instead, if that was asked.
    Gone(Option<B256>),
}

/// Whether a deposit's block is still on the chain, and final.
enum Stands {
    Yes,
    /// Nobody can tell now; look again soon.
    NotYet(String),
    /// Another block is at its height.
    Gone(B256),
}

impl Completer {
    /// Do payment and deposit still belong together, and does the deposit still stand?
    pub(super) async fn last_look(&self, payment: &Payment) -> Result<Look, StoreError> {
        let Some(key) = payment.state.deposit() else { return Ok(Look::NotYet("it has no deposit".to_owned())) };
        let Some(deposit) = self.ports.store.deposit(key).await? else {
            return Ok(Look::NotYet("its deposit is not in the store".to_owned()));
        };
        match may_call(payment, &deposit) {
            Ok(()) => {}
            Err(Objection::Gone) => return Ok(Look::Gone(None)),
            Err(objection) => return Ok(Look::NotYet(objection.to_string())),
        }
        // Without a mark, which a node may keep us from setting by not showing the final block, the chain is asked.
        let allowed = self.ports.store.finality().await?;
        let allowed = allowed.is_some_and(|mark| finality::allows(&mark, deposit.block_number));
        let BlockStatus::Final { at } = deposit.standing else {
            return Ok(Look::NotYet("the deposit is not final".to_owned()));
        };
        let now = self.ports.clock.now();
        // What was established before the final block moved back, or by a process before this one, is looked at again.
        let trusted = at >= self.health.snapshot().finality_doubted.unwrap_or(Timestamp::EPOCH);
        if (trusted && allowed && finality::is_fresh(at, now)) || planted(Bug::FinalForever) {
            return self.agreed(payment, &deposit, deposit.said_by()).await;
        }
        match self.look_at_chain(&deposit).await {
            Stands::Yes => self.agreed(payment, &deposit, deposit.said_by()).await,
            // That it has gone, or is not final, is one operator's word too: the others are asked.
            Stands::NotYet(_) | Stands::Gone(_) if self.settings.agreement > 1 => {
                self.agreed(payment, &deposit, None).await
            }
            Stands::NotYet(why) => Ok(Look::NotYet(why)),
            Stands::Gone(canonical) => Ok(Look::Gone(Some(canonical))),
        }
    }

    /// Whether enough operators say that the deposit is there, and final (decision 14).
    async fn agreed(
        &self,
        payment: &Payment,
        deposit: &Deposit,
        said_by: Option<&Operator>,
    ) -> Result<Look, StoreError> {
        let (token, from, to, amount) = (deposit.token, deposit.from, deposit.to, deposit.amount);
        let transfer = Movement { token, from, to, amount };
        let claim = Claim {
            tx_hash: deposit.key.tx_hash,
            block: deposit.block(),
            transfer,
            did: Did::Transfer,
            made_at: Some(deposit.block_time),
        };
        // Where nobody else is to be asked, it is the word of whoever showed it.
        let alone = (self.settings.agreement <= 1).then(|| self.ports.chain.operators().into_iter().next()).flatten();
        let question = Question {
            matter: Matter::Payment(payment.id.clone()),
            claim,
            said_by: said_by.or(alone.as_ref()),
            deadline: payment.terms.expires_at,
        };
        Ok(match self.agreements.ask(&question).await? {
            Answer::Agreed(agreed) => match prove(Freeing::Completion, &agreed, None) {
                Some(proof) => Look::Good(proof),
                None => Look::NotYet("what is known of its deposit is no proof".to_owned()),
            },
            Answer::Missing { lasted, .. } if lasted >= TOLD_AFTER && self.is_disowned(deposit).await => {
                self.agreements.over(&question.matter, "nobody shows the deposit any more").await?;
                Look::Disowned
            }
            // The longer it has lasted the more seldom: each look asks all operators.
            answer @ Answer::Missing { lasted, .. } if lasted < ASK_AGAIN => {
                Look::Unagreed { why: answer.why(), again: lasted.max(LOOK_AGAIN) }
            }
            answer @ (Answer::Missing { .. } | Answer::Disputed) => {
                Look::Unagreed { why: answer.why(), again: ASK_AGAIN }
            }
        })
    }

    /// Whether the operator that showed the deposit does not show it any more, and nobody else does either: read once more
    /// from each of them. Should that be wrong, the second and the last reading find it again.
    async fn is_disowned(&self, deposit: &Deposit) -> bool {
        let operators = self.ports.chain.operators();
        let Witnesses { with, without, .. } = witnesses(&self.ports, &self.settings, deposit).await;
        let shown_by = deposit.seen_by.as_ref().filter(|seen_by| operators.contains(seen_by));
        let needed = self.settings.operators_needed(operators.len());
        self.settings.agreement > 1
            && with.is_empty()
            && without.len() >= needed
            && shown_by.is_none_or(|shown_by| without.contains(shown_by))
    }

    /// Asks the chain again: finality was established a while ago, or has moved back since.
    async fn look_at_chain(&self, deposit: &Deposit) -> Stands {
        let rule = self.settings.finality;
        let report = match self.recent_finality().await {
            Ok(report) => report,
            Err(error) => return Stands::NotYet(error.to_string()),
        };
        match final_number(rule, &report.head, report.finalized.as_ref()) {
            Some(number) if number >= deposit.block_number || planted(Bug::CallsAboveTheMark) => {}
            Some(_) | None => return Stands::NotYet("its block is above the final one".to_owned()),
        }
        let block = [deposit.block_number];
        let found = self.ports.chain.witnessed_headers(&block, rule.uses_tag(), report.endpoint).await;
        let witnessed = match found {
            Ok(found) => found.into_iter().next(),
            Err(error) => return Stands::NotYet(error.to_string()),
        };
        let block = |witnessed: WitnessedHeader| match planted(Bug::CallsAboveTheMark) {
            true => witnessed.header.map(|header| header.block),
            false => finality::final_block(rule, &witnessed),
        };
        match witnessed.and_then(block) {
            Some(_) if planted(Bug::LastLookByNumber) => Stands::Yes,
            Some(block) if block.hash == deposit.key.block_hash => Stands::Yes,
            Some(block) => Stands::Gone(block.hash),
            None => {
                Stands::NotYet("the node that was asked does not have its block, or does not call it final".to_owned())
            }
        }
    }

    /// What is final, asked for once in a while for all: a thousand payments that wait for the same block to become
    /// final again must not ask a thousand times.
    async fn recent_finality(&self) -> Result<FinalityReport, ChainError> {
        let mut recent = self.recent.lock().await;
        let now = self.ports.clock.now();
        if let Some((said, at)) = &*recent
            && *at <= now
            && now.since(*at) < LOOK_AGAIN
        {
            return said.clone();
        }
        let said = self.ports.chain.finality(self.settings.finality.uses_tag()).await;
        *recent = Some((said.clone(), self.ports.clock.now()));
        said
    }
}
