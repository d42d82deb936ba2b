//! One case: a story is told to a child that dies at one point of it, an unharmed child goes on, everything settles, and
//! the laws are looked at.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use rampwatch::sandbox::SandboxError;
use rampwatch::sandbox::fake_api::OffRamp;
use tokio::time::Instant;

use super::child::{Ask, Look, Orders};
use super::ground::Ground;
use super::laws::{self, Broken};
use super::life::{Life, Mute, aborted};
use super::points::{DIED, Death};
use super::story::{Story, Teller};

/// How long one whole story may take. What takes longer is stuck.
const LIMIT: Duration = Duration::from_secs(60);

/// How often it is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(12);

/// How often each point was passed.
pub(crate) type Passes = BTreeMap<String, u32>;

/// What came of a case.
pub(crate) struct Told {
    /// Whether the process died where it was told to.
    pub(crate) died: bool,
    pub(crate) passes: Passes,
    pub(crate) paid: bool,
    /// What is wrong.
    pub(crate) broken: Vec<Broken>,
}

fn passes(trace: &Path) -> (Passes, bool) {
    let text = std::fs::read_to_string(trace).unwrap_or_default();
    let mut passes = Passes::new();
    for line in text.lines() {
        if let Some((nth, point)) = line.split_once('\t') {
            passes.insert(point.to_owned(), nth.parse().unwrap());
        }
    }
    (passes, text.lines().last() == Some(DIED))
}

struct Case<'a> {
    ground: &'a mut Ground,
    orders: Orders,
    life: Option<Life>,
    off_ramp: OffRamp,
    died: bool,
}

/// Tells a story on this ground.
pub(crate) async fn tell(ground: &mut Ground, story: Story, death: Option<Death>) -> Result<Told, SandboxError> {
    let before = laws::before(ground).await?;
    let off_ramp = ground.next_case().await?;
    let orders = ground.orders(death);
    let trace = orders.trace.clone();
    let life = Life::begin(&orders, &ground.log());
    let mut case = Case { ground, orders, life: Some(life), off_ramp, died: false };
    let mut broken = case.live(story).await?;
    // One that is stuck still runs, and has the store.
    if let Some(life) = case.life.take()
        && let Err(why) = life.stop().await
    {
        broken.push(Broken::Stuck(why));
    }
    let Case { off_ramp, died, .. } = case;
    let (passes, marked) = passes(&trace);
    if died != marked {
        broken.push(Broken::Other(format!("the process died: {died}; at the right place: {marked}")));
    }
    let (paid, more) = laws::after(ground, &before, &off_ramp, story).await?;
    broken.extend(more);
    Ok(Told { died, passes, paid, broken })
}

impl Case<'_> {
    async fn live(&mut self, story: Story) -> Result<Vec<Broken>, SandboxError> {
        let mut teller = Teller::new(story);
        let mut broken = Vec::new();
        let end = Instant::now() + LIMIT;
        let mut last = Look::default();
        let mut added = false;
        loop {
            if Instant::now() >= end {
                broken.push(Broken::Stuck(format!("{} after {LIMIT:?}: {last:#?}", self.off_ramp.id)));
                return Ok(broken);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
            let Some(life) = &mut self.life else {
                self.rise();
                continue;
            };
            let look = match life.ask(&Ask::Look(self.off_ramp.id.clone())).await {
                Ok(look) => look,
                Err(Mute::Gone) => {
                    broken.extend(self.bury().await?);
                    continue;
                }
                Err(Mute::Refused(why)) => return Err(SandboxError::Outcome(why)),
            };
            last = look.clone();
            if story.is_over(&look) {
                match self.stop().await? {
                    Some(more) => broken.extend(more),
                    None => return Ok(broken),
                }
                continue;
            }
            let ask = if look.payment.is_none() && !added {
                Some(Ask::Add(Box::new(self.off_ramp.clone())))
            } else if look.orders.is_empty() && look.swept && look.wallet.is_some() {
                Some(Ask::Fund(Box::new(self.off_ramp.clone())))
            } else {
                teller.tell(self.ground, &look).await?
            };
            let Some(ask) = ask else { continue };
            match life.ask(&ask).await {
                Ok(_) => added = true,
                Err(Mute::Gone) => broken.extend(self.bury().await?),
                // What was asked for may be overtaken by what happened; the next look tells.
                Err(Mute::Refused(why)) => drop(why),
            }
        }
    }

    /// Begins the life after a death, which is not harmed any more.
    fn rise(&mut self) {
        let orders = Orders { death: None, trace: self.orders.trace.with_extension("after"), ..self.orders.clone() };
        self.life = Some(Life::begin(&orders, &self.ground.log()));
    }

    /// Ends it in order; if it dies over that, or has just died, sees what it left behind: there is another life to live.
    async fn stop(&mut self) -> Result<Option<Vec<Broken>>, SandboxError> {
        let Some(life) = self.life.take() else { return Ok(None) };
        let status = life.stop().await.map_err(SandboxError::Outcome)?;
        if status.success() { Ok(None) } else { self.left(status).await.map(Some) }
    }

    /// Sees how it died, and what it left behind.
    async fn bury(&mut self) -> Result<Vec<Broken>, SandboxError> {
        let Some(life) = self.life.take() else { return Ok(Vec::new()) };
        let status = life.end().await.map_err(SandboxError::Outcome)?;
        self.left(status).await
    }

    async fn left(&mut self, status: ExitStatus) -> Result<Vec<Broken>, SandboxError> {
        if !aborted(status) || self.died || self.orders.death.is_none() {
            return Err(SandboxError::Outcome(format!("the process ended unasked: {status}")));
        }
        self.died = true;
        laws::at_death(self.ground).await
    }
}
