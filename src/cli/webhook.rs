//! `rampwatch webhook`: register, list and update.

use clap::{Args, Subcommand};

use super::exit::{Exit, Failure};
use super::operator;
use super::output::{self, plain};
use crate::config::Settings;
use crate::view::webhook::{RegisterRequest, UpdateRequest, WebhookView};

/// Have the payment API tell of payments that move on
///
/// What it tells only ever makes rampwatch ask sooner: nothing is believed of it. The secret that deliveries are signed with
/// is the one of webhook.secret_file or webhook.secret_env.
#[derive(Debug, Args)]
pub(super) struct Webhook {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Register(Register),
    List(List),
    Update(Update),
}

/// Register a webhook
///
/// The API neither lists webhooks nor keeps one from being registered twice. So when its answer is lost, that is said, and
/// the URL is not registered again unless you insist.
#[derive(Debug, Args)]
struct Register {
    /// Where deliveries are to go, at the host of webhook.public_url [default: webhook.public_url]
    #[arg(long)]
    url: Option<String>,
    /// Which events are to be delivered; may be given several times [default: payment.updated]
    #[arg(long = "event", value_name = "EVENT")]
    events: Vec<String>,
    /// Register it although there is, or may be, one for this URL
    #[arg(long)]
    again: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// List the webhooks that were registered here, as the API tells them now
#[derive(Debug, Args)]
struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Change a webhook, also one that was registered elsewhere
///
/// What is left out stays as it is. Doing it twice does no harm.
#[derive(Debug, Args)]
struct Update {
    /// The API's id of the webhook
    webhook: String,
    /// Where deliveries are to go, at the host of webhook.public_url
    #[arg(long)]
    url: Option<String>,
    /// Which events are to be delivered; may be given several times
    #[arg(long = "event", value_name = "EVENT")]
    events: Vec<String>,
    /// Whether anything is to be delivered
    #[arg(long, value_name = "true|false")]
    active: Option<bool>,
    /// Give the API the configured secret, which deliveries are signed with from then on
    #[arg(long)]
    rotate_secret: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Webhook {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        match self.command {
            Command::Register(command) => command.run(settings).await,
            Command::List(command) => command.run(settings).await,
            Command::Update(command) => command.run(settings).await,
        }
    }
}

impl Register {
    async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let missing = "url: set webhook.public_url in the configuration to where deliveries are to go";
        let url = self.url.or_else(|| settings.webhook.public_url.clone());
        let url = url.ok_or_else(|| Failure::new(Exit::Usage, missing))?;
        let operator = operator::open_or_make(settings).await?;
        let request = RegisterRequest { url, events: given(self.events), again: self.again };
        show(&operator.register_webhook(&request).await?, self.json)
    }
}

impl List {
    async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let page = operator::open(settings).await?.webhooks().await?;
        if self.json {
            return output::print_json(&page);
        }
        let rows = page.items.iter().map(row).collect();
        output::print(&output::table(&["WEBHOOK", "URL", "EVENTS", "ACTIVE", "CHANGED"], rows))?;
        for view in &page.items {
            if let Some(why) = &view.stale {
                output::remark(&format!("{}: as known before, because {}", view.id, plain(why)));
            }
        }
        Ok(())
    }
}

impl Update {
    async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let operator = operator::open_or_make(settings).await?;
        let request = UpdateRequest {
            url: self.url,
            events: given(self.events),
            active: self.active,
            rotate_secret: self.rotate_secret,
        };
        show(&operator.update_webhook(&self.webhook, &request).await?, self.json)
    }
}

fn given(events: Vec<String>) -> Option<Vec<String>> {
    if events.is_empty() { None } else { Some(events) }
}

fn active(view: &WebhookView) -> String {
    let word = view.active.map(|active| if active { "yes" } else { "no" });
    word.unwrap_or("the API does not say").to_owned()
}

fn row(view: &WebhookView) -> Vec<String> {
    let changed = view.updated_at.clone().or_else(|| view.created_at.clone()).unwrap_or_else(|| "-".to_owned());
    vec![view.id.to_string(), plain(&view.url), plain(&view.events.join(", ")), active(view), changed]
}

fn show(view: &WebhookView, json: bool) -> Result<(), Failure> {
    if json {
        return output::print_json(view);
    }
    output::print(&output::fields(&[
        ("webhook", Some(view.id.to_string())),
        ("URL", Some(plain(&view.url))),
        ("events", Some(plain(&view.events.join(", ")))),
        ("active", Some(active(view))),
        ("created", view.created_at.clone()),
        ("changed", view.updated_at.clone()),
    ]))
}
