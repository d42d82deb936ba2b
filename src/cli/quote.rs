//! `rampwatch rate` and `rampwatch quote`.

use clap::Args;

use super::exit::Failure;
use super::operator;
use super::output::{self, plain};
use crate::config::Settings;
use crate::domain::decimal::Decimal;
use crate::view::quote::{FeeView, QuoteRequest, QuoteView, RateRequest, RateView};

/// Ask what the payment API would give for an amount now
///
/// Changes nothing, and binds nobody. A rate that stands for some minutes is a quote: `rampwatch quote`.
#[derive(Debug, Args)]
pub(super) struct Rate {
    #[command(flatten)]
    terms: Terms,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Ask the payment API for a quote: what it gives to a bank account, for 10 to 15 minutes
///
/// Binds nobody, and is not kept here. Each call makes another quote.
#[derive(Debug, Args)]
#[command(override_usage = "rampwatch quote [OPTIONS] --user <ID> --bank-account <ID> --to <CURRENCY> --rail <RAIL>
                       --country <CC> <AMOUNT>")]
pub(super) struct Quote {
    #[command(flatten)]
    terms: Terms,
    /// The API's id of the bank account that is paid
    #[arg(long, value_name = "ID")]
    bank_account: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What is to be exchanged for what.
#[derive(Debug, Args)]
struct Terms {
    /// How much is sent, in whole units of the token, such as 1000.50
    #[arg(allow_hyphen_values = true)]
    amount: String,
    /// The API's id of the user
    #[arg(long, value_name = "ID")]
    user: String,
    /// What is paid out, such as MXN
    #[arg(long, value_name = "CURRENCY")]
    to: String,
    /// How it is paid out, as the API calls it, such as SPEI
    #[arg(long, value_name = "RAIL")]
    rail: String,
    /// To which country: two letters, such as MX
    #[arg(long, value_name = "CC")]
    country: String,
    /// What is sent [default: the token that pays, chain.token.symbol]
    #[arg(long, value_name = "CURRENCY")]
    from: Option<String>,
    /// How it is sent, as the API calls it [default: chain.name in capital letters]
    #[arg(long, value_name = "RAIL")]
    from_rail: Option<String>,
    /// What the developer takes, as the API understands developerVariableFee
    #[arg(long, value_name = "FEE", allow_hyphen_values = true)]
    developer_fee: Option<String>,
}

impl Terms {
    fn request(self) -> RateRequest {
        RateRequest {
            user: self.user,
            amount: self.amount,
            source_currency: self.from,
            source_rail: self.from_rail,
            destination_currency: self.to,
            destination_rail: self.rail,
            destination_country: self.country,
            developer_fee: self.developer_fee,
        }
    }
}

impl Rate {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let operator = operator::open_or_make(settings).await?;
        let view = operator.rate(&self.terms.request()).await?;
        if self.json {
            return output::print_json(&view);
        }
        output::print(&output::fields(&rate(&view)))
    }
}

impl Quote {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let operator = operator::open_or_make(settings).await?;
        let asked = self.terms.request();
        let request = QuoteRequest {
            user: asked.user,
            bank_account: self.bank_account,
            amount: asked.amount,
            source_currency: asked.source_currency,
            source_rail: asked.source_rail,
            destination_currency: asked.destination_currency,
            destination_rail: asked.destination_rail,
            destination_country: asked.destination_country,
            developer_fee: asked.developer_fee,
        };
        let view = operator.quote(&request).await?;
        if self.json {
            return output::print_json(&view);
        }
        output::print(&quote(&view))
    }
}

/// A quote, in full.
pub(super) fn quote(view: &QuoteView) -> String {
    let left = view.seconds_left.map_or_else(String::new, |left| match left {
        0 => " (it has run out)".to_owned(),
        left => format!(" (in {} min {} s)", left / 60, left % 60),
    });
    let expires = view.expires_at.as_ref().map(|at| format!("{at}{left}"));
    let mut lines = vec![("quote", Some(view.id.to_string())), ("bank account", Some(view.bank_account.to_string()))];
    lines.extend(rate(&view.rate));
    lines.push(("expires", Some(expires.unwrap_or_else(|| "the API does not say".to_owned()))));
    output::fields(&lines)
}

/// A rate, line by line.
pub(super) fn rate(view: &RateView) -> Vec<(&'static str, Option<String>)> {
    let unsaid = || "the API does not say".to_owned();
    let shown = |figure: &Option<Decimal>| figure.as_ref().map(ToString::to_string);
    let amount = view.source_amount.decimal.clone().unwrap_or_else(|| view.source_amount.to_string());
    let (from, to) = (plain(&view.source_currency), plain(&view.destination_currency));
    let paid_out = shown(&view.destination_amount).map_or_else(unsaid, |amount| format!("{amount} {to}"));
    let rate = shown(&view.exchange_rate).map_or_else(unsaid, |rate| format!("{rate} {to} for 1 {from}"));
    vec![
        ("send", Some(format!("{amount} {from} over {}", plain(&view.source_rail)))),
        ("receive", Some(paid_out)),
        ("", Some(format!("over {} in {}", plain(&view.destination_rail), plain(&view.destination_country)))),
        ("rate", Some(rate)),
        ("fees", Some(shown(&view.total_fee).unwrap_or_else(unsaid))),
        ("API's fee", view.sentra_fee.as_ref().map(fee)),
        ("developer's", view.developer_fee.as_ref().map(fee)),
    ]
}

fn fee(fee: &FeeView) -> String {
    let part = |part: &Option<Decimal>| part.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
    format!("{} fixed, {} variable", part(&fee.fixed), part(&fee.variable))
}
