//! `rampwatch disputes` and `rampwatch endpoints`.

use clap::{Args, Subcommand};

use super::exit::Failure;
use super::{operator, output};
use crate::config::Settings;
use crate::view::Page;
use crate::view::dispute::{DisputeView, EndpointView, TrustRequest};

/// Show where RPC operators contradict each other, or too few answer, with what each says; or decide such a case
///
/// While a dispute is open, nothing that it concerns is completed or ended. It ends by itself when the operators agree.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Disputes {
    #[command(subcommand)]
    command: Option<DisputesCommand>,
    /// Also those that have ended
    #[arg(long)]
    all: bool,
    /// Those after this one
    #[arg(long, value_name = "DISPUTE")]
    after: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum DisputesCommand {
    Decide(Decide),
}

/// Believe one operator in one case, so that it goes on; everything else needs agreement as before
#[derive(Debug, Args)]
struct Decide {
    /// The payment or order that the dispute is about, as `rampwatch disputes` prints it
    dispute: String,
    /// The operator to believe in this case
    #[arg(long, value_name = "OPERATOR")]
    trust: String,
    /// Why; kept with the decision
    #[arg(long)]
    reason: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Disputes {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let operator = operator::open(settings).await?;
        if let Some(DisputesCommand::Decide(Decide { dispute, trust, reason, json })) = self.command {
            let view = operator.decide_dispute(&dispute, &TrustRequest { trust, reason }).await?;
            return if json { output::print_json(&view) } else { output::print(&paragraph(&view)) };
        }
        let ask = async |after: Option<String>, limit| operator.disputes(self.all, after.as_deref(), limit).await;
        let page: Page<DisputeView> = output::gather(self.limit, self.after, ask).await?;
        if self.json {
            return output::print_json(&page);
        }
        if page.items.is_empty() {
            output::remark("no dispute is open: the operators agree, or there is only one");
            return Ok(());
        }
        for view in &page.items {
            output::print(&paragraph(view))?;
        }
        output::remark_more(page.next.as_deref());
        Ok(())
    }
}

/// A dispute with all that was said.
fn paragraph(view: &DisputeView) -> String {
    let what = match view.kind.as_str() {
        "contradiction" => "operators contradict each other",
        _ => "too few operators answer",
    };
    let mut text = format!("{}: {what}, since {}\n  transaction {}\n", view.id, view.since, view.tx_hash);
    if let Some(deadline) = &view.deadline {
        text.push_str(&format!("  the payment expires at {deadline}\n"));
    }
    for said in &view.said {
        let endpoint = if said.endpoint.is_empty() { String::new() } else { format!(" ({})", said.endpoint) };
        text.push_str(&format!("  {}{endpoint}: {}\n", said.operator, said.words));
    }
    if let (Some(trusted), Some(reason)) = (&view.trusted, &view.reason) {
        let by = view.decided_by.as_deref().unwrap_or("a person");
        text.push_str(&format!("  {by} decided to believe {trusted}: {reason}\n"));
    }
    match &view.ended {
        Some(ended) => text.push_str(&format!("  over since {}: {ended}\n", view.ended_at.as_deref().unwrap_or("?"))),
        None => text.push_str(
            "  what to do: look the transaction up in an explorer of your own choice, then\n    \
             rampwatch endpoints exclude --reason '…' NAME, or\n    \
             rampwatch disputes decide --trust OPERATOR --reason '…' ID\n",
        ),
    }
    text
}

/// List the RPC endpoints, who runs them and which are excluded; exclude one, or include it again
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Endpoints {
    #[command(subcommand)]
    command: Option<EndpointsCommand>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum EndpointsCommand {
    Exclude(Exclude),
    Include(Include),
}

/// Exclude an endpoint at once: it is not asked any more, and what it said does not count
#[derive(Debug, Args)]
struct Exclude {
    #[command(flatten)]
    about: About,
}

/// Include an endpoint again that was excluded
#[derive(Debug, Args)]
struct Include {
    #[command(flatten)]
    about: About,
}

#[derive(Debug, Args)]
struct About {
    /// The endpoint's name, as in rpc.endpoints
    name: String,
    /// Why; kept with the decision
    #[arg(long)]
    reason: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Endpoints {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let operator = operator::open(settings).await?;
        let (page, json) = match self.command {
            None => (operator.endpoints().await?, self.json),
            Some(EndpointsCommand::Exclude(Exclude { about })) => {
                (operator.exclude(&about.name, &about.reason).await?, about.json)
            }
            Some(EndpointsCommand::Include(Include { about })) => {
                (operator.include(&about.name, &about.reason).await?, about.json)
            }
        };
        if json {
            return output::print_json(&page);
        }
        output::print(&output::table(&["ENDPOINT", "OPERATOR", "STATE"], page.items.iter().map(row).collect()))
    }
}

fn row(view: &EndpointView) -> Vec<String> {
    let state = match (view.excluded, &view.by, &view.reason) {
        (false, ..) => "asked".to_owned(),
        (true, Some(by), Some(reason)) => format!("excluded by {by}: {reason}"),
        (true, ..) => "excluded".to_owned(),
    };
    vec![view.name.clone(), view.operator.clone(), state]
}
