//! What reads the chain and the payment API for a reconciliation: by ways of its own, apart from a daemon that runs.

use std::sync::Arc;

use super::{chain, engine_settings, payment_api};
use crate::adapters::system::SystemClock;
use crate::config::Settings;
use crate::ports::clock::Clock;
use crate::service::reconcile::Auditor;
use crate::view::TokenName;

/// Puts together what a reconciliation reads with, and checks the nodes. Without an API key, or with `with_api` false, the
/// payment API is left out.
///
/// # Errors
/// When no node can be reached, or one contradicts the configuration.
pub async fn auditor(settings: &Settings, tokens: Vec<TokenName>, with_api: bool) -> anyhow::Result<Auditor> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let chain = chain(settings)?;
    chain.check().await?;
    let chain = Arc::new(chain);
    let api = if with_api { Some(payment_api(settings, clock.clone())?) } else { None };
    Ok(Auditor {
        chain: chain.clone(),
        sender: chain,
        api: api.as_ref().map(|api| api.payments.clone()),
        off_ramp_api: api.map(|api| api.off_ramps),
        clock,
        settings: Arc::new(engine_settings(settings)),
        tokens,
    })
}
