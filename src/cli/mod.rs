//! The commands, one file each.
//!
//! While a daemon runs, commands go through its operator API: over the Unix socket that the configuration names, or, with
//! a token file, over TCP where the socket cannot be reached. When none runs, they open the store themselves. Data goes to stdout, everything else to stderr. A
//! reader that goes away (`rampwatch list | head`) ends the command quietly.
//!
//! Deliberately absent: decisions, and any other way to the state than the engine's handle.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Environment, LogFormat, Settings};
use crate::daemon;
use crate::domain::odd::Odd;
use crate::telemetry;

mod add;
mod approve;
mod cancel;
mod completions;
mod config_check;
mod demo;
mod deposits;
mod disputes;
mod doctor;
mod events;
mod exit;
mod export;
mod fund;
mod list;
mod notices;
mod operator;
mod order_output;
mod orders;
mod output;
mod payout;
mod payouts;
mod progress;
mod quote;
mod receipt;
mod receipt_text;
mod reconcile;
mod resolve;
mod reviews;
mod run;
mod sandbox;
mod show;
mod store;
mod wallet;
mod webhook;
mod why;

#[cfg(any(test, fuzzing))]
pub(crate) use payout::fuzzing;

pub use exit::{Exit, Failure};

/// The environment variable that names the configuration file when `--config` does not.
pub const CONFIG_VARIABLE: &str = "RAMPWATCH_CONFIG";

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed for a reason that has no number of its own
  2  the command line, or a value given on it, is wrong
  3  the configuration is wrong, or a node contradicts it
  4  the payment, deposit, order or payout is not known
  5  refused by the rules; nothing was changed
  6  daemon, store, node or payment API cannot be used
  7  it goes on only when a person has decided something (`rampwatch reviews`, `rampwatch payouts`)
  8  a payout has ended without being paid out
  130  interrupted; what is under way goes on without the command

The configuration is ./config.toml, unless RAMPWATCH_CONFIG or --config names another file.";

/// Watches Polygon for USDC deposits, matches each to its pending off-ramp payment, and completes it at the payment API.
#[derive(Debug, Parser)]
#[command(name = "rampwatch", version, after_help = EXIT_CODES, max_term_width = 100)]
struct Cli {
    /// The configuration file [default: $RAMPWATCH_CONFIG, else ./config.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

// Without comments on the variants, clap shows those of the commands themselves.
#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Run),
    Add(add::Add),
    List(list::List),
    Show(show::Show),
    Deposits(deposits::Deposits),
    Reviews(reviews::Reviews),
    Why(why::Why),
    Events(events::Events),
    Resolve(resolve::Resolve),
    Fund(fund::Fund),
    Payout(payout::Payout),
    Create(payout::Create),
    Payouts(payouts::Payouts),
    Orders(orders::Orders),
    Approve(approve::Approve),
    Reject(approve::Reject),
    Cancel(cancel::Cancel),
    Wallet(wallet::Wallet),
    Export(export::Export),
    Receipt(receipt::Receipt),
    Rate(quote::Rate),
    Quote(quote::Quote),
    Webhook(webhook::Webhook),
    Reconcile(reconcile::Reconcile),
    Disputes(disputes::Disputes),
    Endpoints(disputes::Endpoints),
    Notices(notices::Notices),
    Notify(notices::Notify),
    Config(config_check::Config),
    Doctor(doctor::Doctor),
    Store(store::Store),
    Completions(completions::Completions),
    /// Print the OpenAPI document of the operator API
    Openapi,
    Sandbox(sandbox::Sandbox),
    /// Play the whole story on a chain node of its own, in under a minute, and check how it comes out
    Demo,
}

/// Runs the program with the process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    if let Err(why) = daemon::close_memory() {
        // There is no log yet; whoever reads the errors of the command hears it.
        eprintln!("rampwatch: memory, which holds keys, is not closed to others: {why}");
    }
    run_with(std::env::args_os())
}

fn run_with(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let odd = odd_argument(&arguments);
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            // A reader that is gone cannot be told anything; the exit code still says it.
            return match error.print() {
                Ok(()) => {
                    odd.filter(|_| exit == Exit::Usage).iter().for_each(|odd| output::remark(odd));
                    exit.into()
                }
                Err(broken) if broken.kind() == std::io::ErrorKind::BrokenPipe => exit.into(),
                Err(_) => Exit::Failed.into(),
            };
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::new(Exit::Failed, format!("the runtime cannot start: {error}")).tell(),
    };
    let outcome = runtime.block_on(dispatch(cli));
    // What is still blocked in the system is not waited for: everything that counts is in the store.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match outcome {
        Ok(()) => Exit::Done.into(),
        Err(failure) => {
            let is_why = matches!(failure.exit(), Exit::Usage | Exit::NotFound | Exit::Configuration)
                && !failure.message().contains("U+");
            let told = failure.tell();
            odd.filter(|_| is_why).iter().for_each(|odd| output::remark(odd));
            told
        }
    }
}

/// The first argument with a character that is not what it looks like, such as a hyphen that a page has made longer, in words.
fn odd_argument(arguments: &[OsString]) -> Option<String> {
    arguments.iter().skip(1).find_map(|argument| {
        let text = argument.to_string_lossy();
        let odd = Odd::deceiving(&text)?;
        let shown: String = text.chars().take(80).collect();
        Some(format!("in the argument {shown:?}, {odd}"))
    })
}

async fn dispatch(cli: Cli) -> Result<(), Failure> {
    let file = cli.config;
    match cli.command {
        Command::Run(command) => command.run(settings(file)?).await,
        Command::Add(command) => command.run(&quiet(file)?).await,
        Command::List(command) => command.run(&quiet(file)?).await,
        Command::Show(command) => command.run(&quiet(file)?).await,
        Command::Deposits(command) => command.run(&quiet(file)?).await,
        Command::Reviews(command) => command.run(&quiet(file)?).await,
        Command::Why(command) => command.run(&quiet(file)?).await,
        Command::Events(command) => command.run(&quiet(file)?).await,
        Command::Resolve(command) => command.run(&quiet(file)?).await,
        Command::Fund(command) => command.run(&quiet(file)?).await,
        Command::Payout(command) => command.run(&quiet(file)?).await,
        Command::Create(command) => command.run(&quiet(file)?).await,
        Command::Payouts(command) => command.run(&quiet(file)?).await,
        Command::Orders(command) => command.run(&quiet(file)?).await,
        Command::Approve(command) => command.run(&quiet(file)?).await,
        Command::Reject(command) => command.run(&quiet(file)?).await,
        Command::Cancel(command) => command.run(&quiet(file)?).await,
        Command::Wallet(command) => command.run(file).await,
        Command::Export(command) => command.run(&quiet(file)?).await,
        Command::Receipt(command) => command.run(&quiet(file)?).await,
        Command::Rate(command) => command.run(&quiet(file)?).await,
        Command::Quote(command) => command.run(&quiet(file)?).await,
        Command::Webhook(command) => command.run(&quiet(file)?).await,
        Command::Reconcile(command) => command.run(&quiet(file)?).await,
        Command::Disputes(command) => command.run(&quiet(file)?).await,
        Command::Endpoints(command) => command.run(&quiet(file)?).await,
        Command::Notices(command) => command.run(&quiet(file)?).await,
        Command::Notify(command) => command.run(&quiet(file)?).await,
        Command::Config(command) => {
            let settings = settings(file)?;
            // What goes wrong is the command's own answer; warnings would only say it a second time.
            start_logging("error", settings.log.format)?;
            command.run(&settings).await
        }
        Command::Doctor(command) => {
            let settings = settings(file)?;
            // What goes wrong is the command's own answer; the log would only say it a second time.
            start_logging("off", settings.log.format)?;
            command.run(&settings).await
        }
        Command::Completions(command) => command.run(),
        Command::Store(command) => command.run(&quiet(file)?).await,
        Command::Openapi => output::print_json(&crate::http::openapi()),
        Command::Sandbox(command) => {
            start_logging("warn", LogFormat::Text)?;
            command.run().await
        }
        Command::Demo => {
            start_logging("warn", LogFormat::Text)?;
            demo::run().await
        }
    }
}

/// Reads the configuration.
fn settings(file: Option<PathBuf>) -> Result<Settings, Failure> {
    let named = file.or_else(|| std::env::var_os(CONFIG_VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from));
    Settings::load(named.as_deref(), Environment::of_process())
        .map_err(|error| Failure::new(Exit::Configuration, error.to_string()))
}

/// Reads the configuration for a command that a person waits for: only warnings are logged.
fn quiet(file: Option<PathBuf>) -> Result<Settings, Failure> {
    let settings = settings(file)?;
    start_logging("warn", settings.log.format)?;
    Ok(settings)
}

fn start_logging(filter: &str, format: LogFormat) -> Result<(), Failure> {
    let format = match format {
        LogFormat::Text => telemetry::Format::Text,
        LogFormat::Json => telemetry::Format::Json,
    };
    telemetry::init(filter, format).map_err(|error| Failure::new(Exit::Failed, error.to_string()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
