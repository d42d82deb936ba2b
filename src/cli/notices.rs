//! `rampwatch notices` and `rampwatch notify`.

use clap::{Args, Subcommand};

use super::exit::{Exit, Failure};
use super::{operator, output};
use crate::config::Settings;
use crate::daemon;
use crate::view::Page;
use crate::view::notice::NoticeView;

/// List what people were told, and what is still to be told, the oldest first
#[derive(Debug, Args)]
pub(super) struct Notices {
    /// Only what is still to be told
    #[arg(long)]
    pending: bool,
    /// Those after this one
    #[arg(long, value_name = "NOTICE")]
    after: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Notices {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let operator = operator::open(settings).await?;
        let ask = async |after: Option<String>, limit| operator.notices(self.pending, after.as_deref(), limit).await;
        let page: Page<NoticeView> = output::gather(self.limit, self.after, ask).await?;
        if self.json {
            return output::print_json(&page);
        }
        if page.items.is_empty() {
            output::remark(if self.pending { "nothing is to be told" } else { "nobody was told anything yet" });
            return Ok(());
        }
        let rows = page.items.iter().map(row).collect();
        output::print(&output::table(&["AT", "ENDPOINT", "KIND", "WHAT", "STATE", "TRIES"], rows))?;
        output::remark_more(page.next.as_deref());
        Ok(())
    }
}

fn row(view: &NoticeView) -> Vec<String> {
    let state = match &view.trouble {
        Some(trouble) => format!("{}: {trouble}", view.state),
        None => view.state.clone(),
    };
    let (at, what) = (view.at.clone(), view.title.clone());
    vec![at, view.endpoint.clone(), view.kind.clone(), what, state, view.attempts.to_string()]
}

/// Telling people: see that it works
#[derive(Debug, Args)]
pub(super) struct Notify {
    #[command(subcommand)]
    command: NotifyCommand,
}

#[derive(Debug, Subcommand)]
enum NotifyCommand {
    Test(Test),
}

/// Send a test message to every endpoint, or to one, and say how each answered
///
/// It is sent once and kept nowhere.
#[derive(Debug, Args)]
struct Test {
    /// Only to the endpoint of this name
    #[arg(long, value_name = "NAME")]
    endpoint: Option<String>,
}

impl Notify {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let NotifyCommand::Test(Test { endpoint }) = self.command;
        let Some(notify) = &settings.notify else {
            let said = "nobody is told anything: give [notify] with an endpoint in the configuration";
            return Err(Failure::new(Exit::Configuration, said));
        };
        if let Some(name) = &endpoint
            && !notify.endpoints.iter().any(|known| known.name == *name)
        {
            let names: Vec<&str> = notify.endpoints.iter().map(|known| known.name.as_str()).collect();
            let said = format!("--endpoint: there is no endpoint {name:?}; there are: {}", names.join(", "));
            return Err(Failure::new(Exit::Usage, said));
        }
        let told =
            daemon::notify_test(settings, endpoint.as_deref()).await.map_err(|error| Failure::of_wiring(&error))?;
        let mut failed = 0_usize;
        for (name, said) in told {
            match said {
                Ok(()) => output::print(&format!("{name}: delivered\n"))?,
                Err(why) => {
                    failed = failed.saturating_add(1);
                    output::print(&format!("{name}: not delivered: {why}\n"))?;
                }
            }
        }
        if failed == 0 {
            return Ok(());
        }
        Err(Failure::new(Exit::Unavailable, format!("{failed} of the endpoints did not take the message")))
    }
}
