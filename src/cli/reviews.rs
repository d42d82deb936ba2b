//! `rampwatch reviews`.

use clap::Args;

use super::exit::Failure;
use super::{operator, output};
use crate::config::Settings;
use crate::view::{Page, ReviewView};

/// List everything that a person must decide, and what would settle it
#[derive(Debug, Args)]
pub(super) struct Reviews {
    /// At most so many
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Where an earlier list ended
    #[arg(long, value_name = "PLACE")]
    after: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Reviews {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let operator = operator::open(settings).await?;
        let ask = async |after: Option<String>, limit| operator.reviews(after.as_deref(), limit).await;
        let page: Page<ReviewView> = output::gather(self.limit, self.after, ask).await?;
        if self.json {
            return output::print_json(&page);
        }
        if page.items.is_empty() {
            output::remark("nothing needs a decision");
        }
        let texts: Vec<String> = page.items.iter().map(output::review).collect();
        output::print(&texts.join("\n"))?;
        output::remark_more(page.next.as_deref());
        Ok(())
    }
}
