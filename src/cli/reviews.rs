//! `rampwatch reviews`.

use clap::Args;

use super::exit::Failure;
use super::operator::Operator;
use super::output;
use crate::config::Settings;
use crate::engine::queries::MAX_PAGE;
use crate::engine::views::{Page, ReviewView};

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
        let operator = Operator::open(settings).await?;
        let wanted = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let mut page = Page { items: Vec::new(), next: self.after };
        loop {
            let limit = wanted.saturating_sub(page.items.len()).min(MAX_PAGE);
            let more: Page<ReviewView> = operator.reviews(page.next.as_deref(), limit).await?;
            page.items.extend(more.items);
            page.next = more.next;
            if page.next.is_none() || page.items.len() >= wanted {
                break;
            }
        }
        if self.json {
            return output::print_json(&page);
        }
        if page.items.is_empty() {
            output::remark("nothing waits for a person");
        }
        let texts: Vec<String> = page.items.iter().map(output::review).collect();
        output::print(&texts.join("\n"))?;
        if let Some(next) = page.next {
            output::remark(&format!("there may be more: --after {next}"));
        }
        Ok(())
    }
}
