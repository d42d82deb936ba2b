//! The payment API's answers, for fuzzing (`make fuzz`): every reader that its bytes come to.

use super::answer::{About, listing, payment};
use super::{quotes, webhooks};
use crate::domain::payment::{PaymentId, RecipientId, UserId};

/// The decimals of USDC.
const DECIMALS: u8 = 6;

/// Reads the bytes as every answer that the API gives. Returns the words that people would be shown.
pub(crate) fn answer(data: &[u8]) -> Vec<String> {
    let mut words = Vec::new();
    match payment(data, About::Anyone, DECIMALS) {
        Ok(read) => {
            if let Some(amount) = read.deposit_amount {
                let again = crate::domain::amount::Amount::from_person(&amount.to_decimal(DECIMALS), DECIMALS);
                assert_eq!(again.ok(), Some(amount), "an amount is the same when it is written and read again");
            }
            words.push(read.status.to_string());
            words.extend([read.deposit_chain, read.source_currency, read.kind, read.tx_hash].into_iter().flatten());
        }
        Err(why) => words.push(why),
    }
    let (id, recipient) = (PaymentId::new("p-1"), RecipientId::new("r-1"));
    for about in [id.as_ref().ok().map(About::Payment), recipient.as_ref().ok().map(About::Recipient)] {
        words.extend(about.and_then(|about| payment(data, about, DECIMALS).err()));
    }
    match listing(data, About::Anyone, DECIMALS) {
        Ok(list) => words.extend(list.unreadable),
        Err(why) => words.push(why),
    }
    words.extend(quotes::rate(data, DECIMALS).err());
    words.extend(UserId::new("u-1").ok().and_then(|user| quotes::quote(data, &user, DECIMALS).err()));
    words.extend(webhooks::webhook(data, None).err());
    words
}
