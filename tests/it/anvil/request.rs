//! What the engine is asked of an off-ramp.

use rampwatch::engine::add::AddPayment;
use rampwatch::sandbox::fake_api::OffRamp;

/// The request to add an off-ramp, with nothing typed.
pub(crate) fn request_for(off_ramp: &OffRamp) -> AddPayment {
    AddPayment {
        id: off_ramp.id.clone(),
        recipient_id: off_ramp.recipient_id.clone(),
        deposit_address: None,
        amount: None,
        sender: None,
        created_at: None,
        expires_at: None,
        deposit_chain: None,
    }
}
