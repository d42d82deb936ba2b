//! How much one question for transfers may cost: it is cut into pieces as providers want them, and an answer that never ends
//! must not be waited for, or kept.

use crate::ports::chain::ChainError;

/// So many pieces may be asked for, repetitions included. A month of blocks is 173,000 pieces where a provider takes ten at once.
const MOST_ASKED: u32 = 400_000;

/// So many transfers may be kept. A transfer has some 200 bytes.
const MOST_KEPT: usize = 2_000_000;

/// What one question has cost.
#[derive(Debug, Default)]
pub(super) struct Budget {
    asked: u32,
    kept: usize,
}

impl Budget {
    /// One more piece is asked for.
    pub(super) fn ask(&mut self) -> Result<(), ChainError> {
        self.asked = self.asked.saturating_add(1);
        if self.asked <= MOST_ASKED {
            return Ok(());
        }
        Err(ChainError::Unavailable(format!("one question for transfers took more than {MOST_ASKED} requests")))
    }

    /// So many more transfers are kept.
    pub(super) fn keep(&mut self, transfers: usize) -> Result<(), ChainError> {
        self.kept = self.kept.saturating_add(transfers);
        if self.kept <= MOST_KEPT {
            return Ok(());
        }
        Err(ChainError::Unavailable(format!("one question for transfers was answered with more than {MOST_KEPT}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s1_no_question_is_endless() {
        let mut budget = Budget::default();
        let asked = (0..u32::MAX).take_while(|_| budget.ask().is_ok()).count();
        assert_eq!(asked, 400_000);
        budget.keep(MOST_KEPT).unwrap();
        assert!(budget.keep(1).is_err());
    }
}
