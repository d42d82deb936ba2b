//! The rehearsal: a chain node of its own, a test USDC, and a fake payment API with faults on command.
//!
//! A rehearsal can't touch real money (decision 13): the sandbox's chain has its own id, forks included; every
//! node is asked for it before anything is sent; and the only accounts are those that anvil itself unlocks, whose
//! keys are published, and one wallet whose key is public too (see [`wallet_key`]). No other key is ever read, stored
//! or used here.
//!
//! Deliberately absent: the engine and its adapters. What is rehearsed runs beside the sandbox, with a
//! configuration that [`run`] writes, or as a child process of its own (see [`Daemon`] and [`demo`]).

mod account;
mod anvil;
mod audit;
mod chain;
mod config_text;
mod daemon;
pub mod demo;
mod error;
pub mod fake_api;
mod furnish;
mod operator;
mod pay;
mod pool;
mod process;
mod reorg;
mod rpc;
mod run;
pub mod token;
mod wallet;

use crate::domain::chain::Address;
use alloy::primitives::address;

pub use account::Sent;
pub use anvil::{Anvil, AnvilOptions, Mining, find_anvil};
pub use audit::{Audit, audit};
pub use chain::{BlockTag, MinedBlock, Node, Receipt};
pub use daemon::{Daemon, DaemonOptions};
pub use error::SandboxError;
pub use operator::Operator;
pub use pay::{Paid, PayOptions, pay};
pub use pool::Waiting;
pub use process::Pid;
pub use reorg::{Placed, Reorg};
pub use run::{RunOptions, Sandbox, run};
pub use wallet::{
    WALLET, WALLET_FUNDS, WALLET_GAS_MONEY, WALLET_KEY_ENV, WalletConfig, check_key, wallet_key, wallet_variable,
};

/// The sandbox's chain id, for forks of a real chain too. No public chain has it.
pub const CHAIN_ID: u64 = 1_337_137;

/// Native USDC on Polygon (Circle's list of contract addresses).
pub const USDC: Address = address!("0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359");

/// Bridged USDC.e on Polygon. Only the address tells it from native USDC.
pub const USDC_E: Address = address!("0x2791Bca1f2de4661ED88A30C99A7a9449Aa84174");

/// A token that says it is USDC, and is not. An address of the sandbox's own.
pub const FAKE_USDC: Address = address!("0xfa4e00000000000000000000000000000000000d");

/// Where the sandbox puts its batch payer, a contract that makes many transfers in one transaction.
pub const BATCH_PAYER: Address = address!("0xBA7C400000000000000000000000000000000001");

/// The accounts of anvil's published mnemonic, unlocked in every anvil. Never send real money to them.
pub const DEV_ACCOUNTS: [Address; 10] = [
    address!("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
    address!("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"),
    address!("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"),
    address!("0x90F79bf6EB2c4f870365E785982E1f101E93b906"),
    address!("0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65"),
    address!("0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc"),
    address!("0x976EA74026E726554dB657fA54763abd0C3a0aa9"),
    address!("0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"),
    address!("0x23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f"),
    address!("0xa0Ee7A142d267C1f36714E4a8F75612F20a79720"),
];

/// The account that mints, pauses and blacklists in the sandbox's tokens.
pub const MASTER: Address = DEV_ACCOUNTS[0];

/// The account that pays, unless another is named.
pub const PAYER: Address = DEV_ACCOUNTS[1];

/// The account that sends other people's signed authorisations.
pub const RELAYER: Address = DEV_ACCOUNTS[9];
