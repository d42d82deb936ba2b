//! Looking at the chain before a completion is believed, as the real API may.

use crate::domain::amount::Amount;
use crate::domain::chain::{Address, B256};
use crate::sandbox::Node;

/// Checks transaction hashes against the sandbox's chain.
#[derive(Clone, Debug)]
pub struct Verifier {
    pub node: Node,
    /// The token that pays.
    pub token: Address,
}

impl Verifier {
    /// Whether the transaction is in a block, has worked, and holds a transfer of at least `amount` to `recipient`.
    pub(super) async fn check(&self, tx_hash: B256, recipient: Address, amount: Amount) -> Result<(), String> {
        let receipt = self.node.receipt(tx_hash).await.map_err(|error| error.to_string())?;
        let Some(receipt) = receipt.filter(|receipt| receipt.succeeded) else {
            return Err("transactionHash is not a successful transaction on the chain".to_owned());
        };
        let pays = |transfer: &crate::domain::chain::Transfer| {
            transfer.token == self.token && transfer.to == recipient && transfer.amount >= amount
        };
        if receipt.transfers.iter().any(pays) {
            return Ok(());
        }
        Err("transactionHash does not pay the deposit address".to_owned())
    }
}
