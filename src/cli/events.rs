//! `rampwatch events`.

use clap::Args;

use super::exit::{Exit, Failure};
use super::{operator, output};
use crate::client::Client;
use crate::config::Settings;
use crate::service::events::Since;
use crate::service::queries::MAX_PAGE;
use crate::view::{EventView, Page};

/// Tell what happened, and with --follow what happens
///
/// Every change is kept with the event that explains it, numbered from 1. Without --after the newest are shown. What happened to
/// one payment or deposit: `rampwatch why`.
#[derive(Debug, Args)]
pub(super) struct Events {
    /// Go on as events happen, until Ctrl-C
    #[arg(long)]
    follow: bool,
    /// Those after the event with this number; 0: from the first on
    #[arg(long, value_name = "NUMBER")]
    after: Option<u64>,
    /// How many of the newest to begin with; after --after at most so many, and with --follow all
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Print JSON; with --follow one object a line
    #[arg(long)]
    json: bool,
}

impl Events {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let since = self.after.map_or(Since::Newest(u64::from(self.limit)), Since::After);
        let operator = operator::open(settings).await?;
        if self.follow {
            return self.follow(&operator, since).await;
        }
        let limit = usize::try_from(self.limit).unwrap_or(MAX_PAGE);
        let page: Page<EventView> = operator.events(since, limit).await?;
        if self.json {
            return output::print_json(&page);
        }
        let lines: String = page.items.iter().map(line).collect();
        output::print(&lines)?;
        output::remark_more(page.next.as_deref());
        Ok(())
    }

    async fn follow(&self, operator: &Client, since: Since) -> Result<(), Failure> {
        let mut feed = operator.follow(since).await?;
        while let Some(event) = feed.next().await? {
            if self.json {
                output::print_json_line(&event)?;
            } else {
                output::print(&line(&event))?;
            }
        }
        let again = feed.last().map_or_else(String::new, |last| format!(" --after {last}"));
        Err(Failure::new(
            Exit::Unavailable,
            format!("the daemon has stopped; go on with: rampwatch events --follow{again}"),
        ))
    }
}

fn line(event: &EventView) -> String {
    let about = event.order.as_ref().map(ToString::to_string);
    let about = about.or_else(|| event.payment.as_ref().map(ToString::to_string));
    let about = about.or_else(|| event.deposit.as_ref().map(|deposit| deposit.tx_hash.to_string()));
    let about = about.map_or_else(String::new, |about| format!(" [{about}]"));
    format!("{:>6}  {}{about} {}\n", event.seq, event.at, output::plain(&event.text))
}
