//! Deaths by script: each story is told without a death some times, which counts how often each point is passed every time;
//! then once for each of these points and each side of it, to a process that dies there.
//!
//! The process is this test's own binary, started again as a child (see [`child`]): the library's engine over the real
//! adapters, with a point around every port's call. Questions that are asked again and again while something is waited
//! for are died at in their first passes only; a commit in all its first passes.

mod case;
mod child;
mod ground;
mod laws;
mod life;
mod points;
mod settings;
mod store;
mod story;
mod ways;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use rampwatch::sandbox::SandboxError;
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::case::{Passes, Told};
use self::ground::Ground;
use self::laws::Broken;
use self::points::{Death, Side};
use self::story::Story;
use crate::send::report::Report;

pub(crate) use self::child::child;

/// The argument that makes this binary the child.
pub(crate) const CHILD_FLAG: &str = "--die-for-the-parent";

/// At how many passes of a commit's point the process dies.
const COMMITS: u32 = 3;

/// The same for a call.
const CALLS: u32 = 1;

/// How often a case is tried when its point was not reached: what is asked when is a matter of milliseconds.
const TRIES: u32 = 10;

/// How often a story is told without a death.
const COUNTED: usize = 5;

/// How many cases are told on one ground.
const GROUND_LASTS: u32 = 40;

/// What is to be done.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The most cases; all when 0.
    pub(crate) most: usize,
    /// How many cases are told at once.
    pub(crate) workers: usize,
    /// The one story that is told; all when `None`.
    pub(crate) story: Option<String>,
    /// Only points whose name holds this.
    pub(crate) at: Option<String>,
}

impl Default for Plan {
    fn default() -> Self {
        let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).min(8);
        Self { most: 0, workers, story: None, at: None }
    }
}

/// Does it all.
pub(crate) async fn run(plan: &Plan, report: &mut Report) {
    let began = Instant::now();
    let stories: Vec<Story> =
        Story::ALL.into_iter().filter(|story| plan.story.as_ref().is_none_or(|name| name == story.name())).collect();
    let counts = Arc::new(Mutex::new(BTreeMap::new()));
    let tellings = stories.iter().flat_map(|story| std::iter::repeat_n((*story, None), COUNTED)).collect();
    work(tellings, plan.workers, report, Some(&counts)).await;
    let mut cases = VecDeque::new();
    for (story, passes) in std::mem::take(&mut *counts.lock().unwrap()) {
        for landmark in story.landmarks().iter().filter(|landmark| !passes.contains_key(**landmark)) {
            report.failed(format!("{}: the story was told without this: {landmark}", story.name()));
        }
        let deaths = deaths(&passes, plan.at.as_deref());
        println!("  {}: {} points, {} deaths", story.name(), passes.len(), deaths.len());
        if plan.at.is_some() || std::env::var_os("SEND_CRASH_POINTS").is_some() {
            passes.iter().for_each(|(point, times)| println!("    {times} × {point}"));
        }
        cases.extend(deaths.into_iter().map(|death| (story, Some(death))));
    }
    if plan.most > 0 && cases.len() > plan.most {
        let step = cases.len().div_ceil(plan.most);
        cases = cases.into_iter().step_by(step).collect();
    }
    report.cases += u32::try_from(cases.len()).unwrap();
    work(cases, plan.workers, report, None).await;
    println!("  {} deaths by script of {} reached, {} s", report.reached, report.cases, began.elapsed().as_secs());
}

/// Where to die, by how often each point is passed.
fn deaths(passes: &Passes, at: Option<&str>) -> Vec<Death> {
    let mut deaths = Vec::new();
    for (point, times) in passes.iter().filter(|(point, _)| at.is_none_or(|at| point.contains(at))) {
        let most = if point.starts_with("commit") && !point.contains(" while ") { COMMITS } else { CALLS };
        for nth in 1..=most.min(*times) {
            for side in [Side::Before, Side::After] {
                deaths.push(Death { point: point.clone(), nth, side });
            }
        }
    }
    deaths
}

type Task = (Story, Option<Death>);
type Counts = Mutex<BTreeMap<Story, Passes>>;

/// Does the tasks, several at once.
async fn work(tasks: VecDeque<Task>, workers: usize, report: &mut Report, counts: Option<&Arc<Counts>>) {
    let tasks = Arc::new(Mutex::new(tasks));
    let mut working = JoinSet::new();
    for _ in 0..workers.max(1) {
        let (tasks, counts) = (Arc::clone(&tasks), counts.cloned());
        working.spawn(async move {
            let mut report = Report::default();
            let mut ground = None;
            loop {
                let next = tasks.lock().unwrap().pop_front();
                let Some((story, death)) = next else { return report };
                one(&mut ground, story, death, &mut report, counts.as_deref()).await;
            }
        });
    }
    while let Some(done) = working.join_next().await {
        match done {
            Ok(part) => report.add(part),
            Err(error) => report.failed(format!("a worker failed: {error}")),
        }
    }
}

/// One task, tried again while its point is not reached.
async fn one(
    ground: &mut Option<Ground>,
    story: Story,
    death: Option<Death>,
    report: &mut Report,
    counts: Option<&Counts>,
) {
    let name = death.as_ref().map_or_else(|| "no death".to_owned(), Death::to_string);
    let name = format!("{}, {name}", story.name());
    for _ in 0..TRIES {
        let told = match on(ground, story, death.clone()).await {
            Ok(told) => told,
            Err(error) => {
                report.failed(format!("{name}: {error}{}", kept(ground)));
                return;
            }
        };
        report.payments += 1;
        report.paid += usize::from(told.paid);
        let is_broken = !told.broken.is_empty();
        for broken in told.broken {
            note(report, &name, broken);
        }
        if is_broken {
            report.failed(format!("{name}{}", kept(ground)));
        }
        if let Some(counts) = counts {
            merge(&mut counts.lock().unwrap(), story, told.passes);
        }
        if told.died {
            report.reached += 1;
        }
        if told.died || death.is_none() {
            return;
        }
    }
    report.failed(format!("{name}: not reached in {TRIES} tries"));
}

async fn on(ground: &mut Option<Ground>, story: Story, death: Option<Death>) -> Result<Told, SandboxError> {
    if ground.as_ref().is_some_and(|ground| ground.cases >= GROUND_LASTS) {
        *ground = None;
    }
    if ground.is_none() {
        // The first story on a ground is not like the others: what was there before it is read on the way.
        let mut fresh = Ground::new().await?;
        let first = case::tell(&mut fresh, Story::Plain, None).await?;
        if let Some(broken) = first.broken.first() {
            return Err(SandboxError::Outcome(format!("the first story on a fresh ground: {broken:?}")));
        }
        *ground = Some(fresh);
    }
    case::tell(ground.as_mut().unwrap(), story, death).await
}

/// The next case begins on a fresh ground; this one's folder is kept.
fn kept(ground: &mut Option<Ground>) -> String {
    ground.take().map_or_else(String::new, |ground| format!(" (kept: {})", ground.keep().display()))
}

/// What is passed in every telling counts, as often as in the telling that passed it least.
fn merge(counts: &mut BTreeMap<Story, Passes>, story: Story, passes: Passes) {
    let Some(known) = counts.remove(&story) else {
        counts.insert(story, passes);
        return;
    };
    let both = known.into_iter().filter_map(|(point, times)| {
        let others = *passes.get(&point)?;
        Some((point, times.min(others)))
    });
    counts.insert(story, both.collect());
}

fn note(report: &mut Report, name: &str, broken: Broken) {
    let (count, what) = match broken {
        Broken::Doubled(what) => (Some(&mut report.doubled), what),
        Broken::Stuck(what) => (Some(&mut report.stuck), what),
        Broken::Spend(what) => (Some(&mut report.spend_wrong), what),
        Broken::Gap(what) => (Some(&mut report.gaps), what),
        Broken::Unknown(what) => (Some(&mut report.unknown), what),
        Broken::Other(what) => (None, what),
    };
    if let Some(count) = count {
        *count += 1;
    }
    report.failed(format!("{name}: {what}"));
}
