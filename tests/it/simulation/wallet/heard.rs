//! What the process was told, as far as a broadcast may rest upon it.

use rampwatch::domain::chain::{B256, Transfer};
use rampwatch::domain::payment::{ApiStatus, PaymentId};
use rampwatch::domain::time::Timestamp;
use rampwatch::domain::wallet::TransferView;
use rampwatch::ports::chain::TransferQuery;
use rampwatch::ports::clock::Clock;
use rampwatch::ports::payment_api::{ApiError, ApiPayment};
use rampwatch::ports::sender::TransferSpec;

use super::super::end_checks::key_of;
use super::super::odd;
use super::super::world::World;
use super::books::Reading;
use super::broadcasts::SLOWEST;

/// A new life knows nothing that an earlier one was told.
pub(crate) fn life_begins(world: &World, number: u64) {
    let mut wallet = world.wallet();
    let books = &mut wallet.books;
    (books.life, books.life_began) = (number, world.clock.now());
    books.asked.clear();
    books.viewed.clear();
    books.read.clear();
}

/// The API has answered a GET that was sent at `asked_at`.
pub(crate) fn payment(world: &World, id: &PaymentId, answer: &Result<ApiPayment, ApiError>, asked_at: Timestamp) {
    let Ok(payment) = answer else { return };
    let hides_nothing = odd::hides_nothing(world, payment);
    let mut wallet = world.wallet();
    let books = &mut wallet.books;
    let named = payment.tx_hash.as_ref().and_then(|text| text.parse::<B256>().ok());
    let is_ours = named.and_then(|hash| books.hashes.get(&hash)).is_some_and(|order| order.payment == *id);
    let awaits = payment.status == ApiStatus::AwaitingFunds && payment.tx_hash.is_none() && hides_nothing;
    if awaits || (is_ours && payment.status.outcome().is_none()) {
        let last = books.asked.entry(id.clone()).or_insert(asked_at);
        *last = asked_at.max(*last);
    }
}

/// An endpoint has answered a question for transfers.
pub(crate) fn transfers(world: &World, query: &TransferQuery, told: &[Transfer], asked_at: Timestamp) {
    let Some(settings) = &world.settings.wallet else { return };
    let mut wallet = world.wallet();
    for address in query.recipients.iter() {
        let is_money = |transfer: &&Transfer| {
            let ours = [settings.address, *address].contains(&transfer.from);
            transfer.to == *address && transfer.token == world.settings.token && !ours && !transfer.amount.is_zero()
        };
        let money = told.iter().filter(is_money).map(key_of).collect();
        let read = wallet.books.read.entry(*address).or_default();
        read.retain(|reading| asked_at.since(reading.at) <= SLOWEST);
        read.push(Reading { at: asked_at, to: query.to, money });
    }
}

/// An endpoint has shown what would become of a transfer.
pub(super) fn view(world: &World, transfer: &TransferSpec, view: &TransferView, asked_at: Timestamp) {
    let head = view.head.block.number;
    // Two orders may pay the same amount to the same address.
    let mut wallet = world.wallet();
    let views = wallet.books.viewed.entry((transfer.to, transfer.amount)).or_default();
    views.retain(|(at, _)| asked_at.since(*at) <= SLOWEST);
    views.push((asked_at, head));
}
