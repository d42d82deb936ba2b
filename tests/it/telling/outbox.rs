//! From events to deliveries: what is told, when it is tried again, and who waits for whom.

use rampwatch::domain::chain::BlockRef;
use rampwatch::domain::event::{Alarm, EventKind};
use rampwatch::domain::notice::{NoticeKind, NoticeState};
use rampwatch::domain::payment::Outcome;
use rampwatch::domain::time::Span;
use rampwatch::policy::notices::MAX_ATTEMPTS;

use super::rig::{Answer, Ear, Rig};
use crate::support::records::{hash, payment_id};

fn key_refused() -> EventKind {
    EventKind::Alarm { alarm: Alarm::KeyRefused { status: 401 } }
}

#[tokio::test(start_paused = true)]
async fn news_is_told_once_to_whoever_takes_it_and_the_past_is_not() {
    let all = Ear::new("all");
    let failures = Ear::for_kinds("failures", &[NoticeKind::Failure, NoticeKind::Completed]);
    let mut rig = Rig::new(&[&all, &failures]);
    rig.review(1).await;
    rig.happens(None, key_refused()).await;
    rig.begin().await;
    rig.wait(60).await;
    assert!(all.heard().is_empty() && failures.heard().is_empty(), "the past is not told: {:?}", all.titles());

    rig.review(2).await;
    let block = |number| BlockRef { number, hash: hash(number) };
    rig.happens(None, EventKind::FinalityMoved { from: block(1), to: block(2) }).await;
    rig.ended(3, Outcome::Failed).await;
    rig.ended(4, Outcome::Completed).await;
    rig.ended(5, Outcome::Cancelled).await;
    rig.happens(None, key_refused()).await;
    rig.wait(60).await;
    let review = "A payment needs a decision: payment pay-000002";
    let failed = "A payment has failed: payment pay-000003";
    let completed = "A payment is completed: payment pay-000004";
    assert_eq!(
        all.titles(),
        ["The payment API refuses the key", failed, completed, review],
        "what is urgent goes first"
    );
    assert_eq!(failures.titles(), [failed, completed]);
    assert_eq!(rig.states(), ["delivered"; 6]);

    let heard = all.heard()[3].clone();
    assert_eq!(heard.message.payment, Some(payment_id(2)));
    assert!(heard.message.text[0].contains("Calling once more might complete twice"), "{:?}", heard.message.text);
    assert!(heard.message.text[1].contains("1000.00 to "), "{:?}", heard.message.text);
    let commands = heard.message.remedies.join("\n");
    for command in ["rampwatch resolve retry --reason '…' pay-000002", "rampwatch why pay-000002"] {
        assert!(commands.contains(command), "{commands}");
    }
    assert!(heard.id.starts_with("rw-") && !heard.id.contains('.'), "{}", heard.id);

    rig.stop().await.unwrap();
    rig.begin().await;
    rig.wait(3_600).await;
    assert_eq!((all.heard().len(), failures.heard().len()), (4, 2), "a restart tells nothing again");
    rig.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_happened_while_no_process_ran_is_told_at_the_next_start_unless_it_is_old() {
    let ear = Ear::new("ear");
    let mut rig = Rig::new(&[&ear]);
    rig.begin().await;
    rig.die().await;
    rig.review(1).await;
    rig.wait(4 * 86_400).await;
    rig.review(2).await;
    rig.begin().await;
    rig.wait(60).await;
    assert_eq!(ear.titles(), ["A payment needs a decision: payment pay-000002"]);
    rig.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_is_asked_for_again_under_the_same_id() {
    let ear = Ear::new("ear");
    ear.answers([Answer::Lost, Answer::No(None)]);
    let mut rig = Rig::new(&[&ear]);
    rig.begin().await;
    rig.review(1).await;
    rig.wait(600).await;
    let heard = ear.heard();
    assert_eq!(heard.len(), 3);
    assert!(heard.iter().all(|one| one.id == heard[0].id && one.message == heard[0].message), "{heard:?}");
    let gaps: Vec<u64> = heard.windows(2).map(|pair| pair[1].at.since(pair[0].at).as_secs()).collect();
    assert!((5..=7).contains(&gaps[0]) && (20..=26).contains(&gaps[1]), "{gaps:?}");
    assert!(matches!(rig.notices()[0].state, NoticeState::Delivered { attempts: 3, .. }));
    rig.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn after_three_days_it_is_given_up_and_later_news_still_goes_out() {
    let ear = Ear::that("ear", Answer::No(None));
    let mut rig = Rig::new(&[&ear]);
    rig.begin().await;
    rig.review(1).await;
    rig.wait(6 * 86_400).await;
    let heard = ear.heard();
    assert_eq!(u32::try_from(heard.len()).unwrap(), MAX_ATTEMPTS);
    let days = heard[heard.len() - 1].at.since(heard[0].at).as_secs() / 3_600;
    assert!((60..=90).contains(&days), "{days} hours");
    assert!(matches!(&rig.notices()[0].state, NoticeState::GivenUp { attempts: MAX_ATTEMPTS, why, .. }
        if why == "HTTP 503 Service Unavailable"));
    ear.answers([Answer::Yes]);
    rig.review(2).await;
    rig.wait(60).await;
    assert_eq!(rig.states(), ["given-up", "delivered"]);
    rig.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_asks_for_rest_gets_it() {
    let ear = Ear::new("ear");
    ear.answers([Answer::No(Some(Span::from_secs(120)))]);
    let mut rig = Rig::new(&[&ear]);
    rig.begin().await;
    rig.review(1).await;
    rig.review(2).await;
    rig.wait(600).await;
    let heard = ear.heard();
    assert_eq!(heard.len(), 3, "{heard:?}");
    assert!(
        heard[1].at.since(heard[0].at) >= Span::from_secs(120),
        "nothing goes there meanwhile, not even other news"
    );
    assert_eq!(rig.states(), ["delivered", "delivered"]);
    rig.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_slow_endpoint_holds_nobody_up() {
    let (slow, quick) = (Ear::that("a-slow", Answer::Slow(Span::from_secs(14))), Ear::new("quick"));
    let failing = Ear::that("failing", Answer::No(None));
    let mut rig = Rig::new(&[&slow, &failing, &quick]);
    rig.begin().await;
    for n in 1..=200 {
        rig.review(n).await;
    }
    rig.wait(3).await;
    assert_eq!(quick.heard().len(), 200, "while the slow one has {}", slow.heard().len());
    rig.wait(3_600).await;
    assert_eq!(slow.heard().len(), 200);
    assert!(failing.heard().len() < 500, "a backlog does not storm: {}", failing.heard().len());
    rig.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_gone_is_left_alone_until_a_restart() {
    let (gone, other) = (Ear::new("gone"), Ear::new("other"));
    gone.answers([Answer::Gone]);
    let mut rig = Rig::new(&[&gone, &other]);
    rig.begin().await;
    rig.review(1).await;
    rig.wait(60).await;
    rig.review(2).await;
    rig.wait(86_400).await;
    assert_eq!((gone.heard().len(), other.heard().len()), (1, 2));
    rig.stop().await.unwrap();
    rig.begin().await;
    rig.wait(60).await;
    let mut titles = gone.titles();
    titles.sort();
    titles.dedup();
    assert_eq!(titles.len(), 2, "after the restart it gets what it has missed");
    assert_eq!(rig.states(), ["delivered"; 4]);
    rig.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_stops_by_itself_says_so() {
    let ear = Ear::new("ear");
    let mut rig = Rig::new(&[&ear]);
    rig.store_fails = true;
    rig.start(&super::rig::Fuse::none());
    rig.wait(30).await;
    assert!(rig.stop().await.is_err());
    assert_eq!(ear.titles(), ["rampwatch stops by itself"]);
    assert!(ear.heard()[0].message.text[0].contains("the disk is full"), "{:?}", ear.heard());
}
