//! EIP-3009: an account signs, and a relayer sends. The transaction's sender is then not whose money moves.

use alloy::primitives::{Bytes, Signature, U256};
use alloy::sol_types::SolCall;
use serde_json::{Value, json};

use super::TokenSpec;
use super::abi::TestUsdc;
use super::transfers::{GAS, units};
use crate::domain::amount::Amount;
use crate::domain::chain::{Address, B256};
use crate::domain::time::Timestamp;
use crate::sandbox::chain::Node;
use crate::sandbox::error::{Result, SandboxError};
use crate::sandbox::{CHAIN_ID, DEV_ACCOUNTS};

/// A transfer that its owner allows, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authorization {
    pub token: Address,
    /// Whose money moves; signs.
    pub from: Address,
    pub to: Address,
    /// How much, in base units.
    pub amount: Amount,
    /// Valid after this moment, by the block's time.
    pub valid_after: Timestamp,
    /// Valid before this moment, by the block's time.
    pub valid_before: Timestamp,
    /// Any number that the owner has not used yet.
    pub nonce: B256,
}

impl Authorization {
    /// One that is valid at any time.
    #[must_use]
    pub const fn any_time(token: Address, from: Address, to: Address, amount: Amount, nonce: B256) -> Self {
        let valid_after = Timestamp::EPOCH;
        let valid_before = Timestamp::FAR_FUTURE;
        Self { token, from, to, amount, valid_after, valid_before, nonce }
    }
}

/// An authorisation with its owner's signature.
#[derive(Clone, Copy, Debug)]
pub struct Signed {
    pub authorization: Authorization,
    pub signature: Signature,
}

impl Node {
    /// Has anvil sign an authorisation to transfer with the account `from`.
    ///
    /// # Errors
    /// When `from` is not one of anvil's accounts.
    pub async fn authorize(&self, spec: &TokenSpec, authorization: Authorization) -> Result<Signed> {
        let message = json!({
            "from": authorization.from,
            "to": authorization.to,
            "value": units(authorization.amount).to_string(),
            "validAfter": authorization.valid_after.as_secs().to_string(),
            "validBefore": authorization.valid_before.as_secs().to_string(),
            "nonce": authorization.nonce,
        });
        let fields = [
            ("from", "address"),
            ("to", "address"),
            ("value", "uint256"),
            ("validAfter", "uint256"),
            ("validBefore", "uint256"),
            ("nonce", "bytes32"),
        ];
        let kind = ("TransferWithAuthorization", &fields[..]);
        let signature = self.sign(spec, authorization.token, authorization.from, kind, message).await?;
        Ok(Signed { authorization, signature })
    }

    /// Sends a signed authorisation from `relayer`.
    ///
    /// # Errors
    /// When `relayer` is not one of anvil's accounts, or the node refuses.
    pub async fn transfer_with_authorization(&self, relayer: Address, signed: &Signed) -> Result<B256> {
        let allowed = &signed.authorization;
        let call = TestUsdc::transferWithAuthorizationCall {
            from: allowed.from,
            to: allowed.to,
            value: units(allowed.amount),
            validAfter: U256::from(allowed.valid_after.as_secs()),
            validBefore: U256::from(allowed.valid_before.as_secs()),
            nonce: allowed.nonce,
            v: recovery_byte(&signed.signature),
            r: signed.signature.r().into(),
            s: signed.signature.s().into(),
        };
        self.send(relayer, allowed.token, call.abi_encode().into(), GAS).await
    }

    /// Cancels an authorisation of `authorizer` that was not used yet; anybody may send it, here the account itself.
    ///
    /// # Errors
    /// When `authorizer` is not one of anvil's accounts, or the node refuses.
    pub async fn cancel_authorization(
        &self,
        spec: &TokenSpec,
        token: Address,
        authorizer: Address,
        nonce: B256,
    ) -> Result<B256> {
        let message = json!({ "authorizer": authorizer, "nonce": nonce });
        let kind = ("CancelAuthorization", &[("authorizer", "address"), ("nonce", "bytes32")][..]);
        let signature = self.sign(spec, token, authorizer, kind, message).await?;
        let call = TestUsdc::cancelAuthorizationCall {
            authorizer,
            nonce,
            v: recovery_byte(&signature),
            r: signature.r().into(),
            s: signature.s().into(),
        };
        self.send(authorizer, token, call.abi_encode().into(), GAS).await
    }

    async fn sign(
        &self,
        spec: &TokenSpec,
        token: Address,
        signer: Address,
        (kind, fields): (&str, &[(&str, &str)]),
        message: Value,
    ) -> Result<Signature> {
        if !DEV_ACCOUNTS.contains(&signer) {
            return Err(SandboxError::NotOurAccount(signer));
        }
        let field = |(name, kind): &(&str, &str)| json!({ "name": name, "type": kind });
        let domain =
            [("name", "string"), ("version", "string"), ("chainId", "uint256"), ("verifyingContract", "address")];
        let typed = json!({
            "types": {
                "EIP712Domain": domain.iter().map(field).collect::<Vec<_>>(),
                kind: fields.iter().map(field).collect::<Vec<_>>(),
            },
            "primaryType": kind,
            "domain": {
                "name": spec.name,
                "version": spec.version,
                "chainId": CHAIN_ID,
                "verifyingContract": token,
            },
            "message": message,
        });
        let bytes: Bytes = self.rpc.call("eth_signTypedData_v4", json!([signer, typed])).await?;
        let unreadable =
            |detail: String| SandboxError::Unreadable { method: "eth_signTypedData_v4".to_owned(), detail };
        Signature::from_raw(&bytes).map_err(|error| unreadable(error.to_string()))
    }
}

/// The `v` of a signature as Ethereum's contracts take it.
fn recovery_byte(signature: &Signature) -> u8 {
    if signature.v() { 28 } else { 27 }
}
