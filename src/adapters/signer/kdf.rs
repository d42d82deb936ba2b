//! How a keystore's password becomes a key: scrypt, or PBKDF2 in files of others.
//!
//! The file says how much work that is, and whoever wrote the file may mean harm: the work is bounded before it begins.

use pbkdf2::pbkdf2_hmac;
use pbkdf2::sha2::Sha256;
use scrypt::{Params, scrypt};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::error::Fault;

/// How many bytes come out of it: 16 to encrypt with, 16 to authenticate with.
pub(super) const DERIVED_BYTES: usize = 32;
/// geth's standard cost of scrypt, as its logarithm: n = 262 144, about a second and 256 MiB.
pub(super) const LOG_N: u8 = 18;
/// geth's standard block size of scrypt.
pub(super) const R: u32 = 8;
/// geth's standard parallelism of scrypt.
pub(super) const P: u32 = 1;

/// The most memory that scrypt may take for a file, in bytes: twice geth's standard.
const MAX_MEMORY: u64 = 512 << 20;
/// The most work that scrypt may be for a file, as n × r × p: four times geth's standard, some seconds.
const MAX_SCRYPT_WORK: u64 = 4 << 21;
/// The most rounds of PBKDF2 for a file: some seconds. Files in use have 262 144 or fewer.
const MAX_ROUNDS: u32 = 4_000_000;
/// The most bytes of salt. Files in use have 32.
const MAX_SALT: usize = 1_024;

/// A way to derive a key, within the bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kdf {
    cost: Cost,
    salt: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cost {
    Scrypt { log_n: u8, r: u32, p: u32 },
    Pbkdf2 { rounds: u32 },
}

impl Kdf {
    /// What new keystores are written with.
    pub(super) const fn standard(salt: Vec<u8>) -> Self {
        Self { cost: Cost::Scrypt { log_n: LOG_N, r: R, p: P }, salt }
    }

    /// scrypt as a file asks for it.
    pub(super) fn scrypt(n: u64, r: u64, p: u64, salt: Vec<u8>) -> Result<Self, Fault> {
        if n < 2 || !n.is_power_of_two() || r == 0 || p == 0 {
            return Err(Fault::Malformed(format!("scrypt cannot have n = {n}, r = {r}, p = {p}")));
        }
        // 128 bytes for each of n × r, and for each of r × p.
        let product = |factors: [u64; 3]| factors.into_iter().try_fold(1_u64, u64::checked_mul);
        let within = |value: Option<u64>, most: u64| value.is_some_and(|value| value <= most);
        let fits = within(product([128, n, r]), MAX_MEMORY)
            && within(product([128, r, p]), MAX_MEMORY)
            && within(product([n, r, p]), MAX_SCRYPT_WORK);
        let too_costly = || Fault::TooCostly(format!("scrypt with n = {n}, r = {r}, p = {p}"));
        if !fits {
            return Err(too_costly());
        }
        let log_n = u8::try_from(n.ilog2()).map_err(|_| too_costly())?;
        let r = u32::try_from(r).map_err(|_| too_costly())?;
        let p = u32::try_from(p).map_err(|_| too_costly())?;
        Self::salted(Cost::Scrypt { log_n, r, p }, salt)
    }

    /// PBKDF2 with HMAC-SHA-256 as a file asks for it.
    pub(super) fn pbkdf2(rounds: u64, salt: Vec<u8>) -> Result<Self, Fault> {
        if rounds == 0 {
            return Err(Fault::Malformed("PBKDF2 cannot have no rounds".to_owned()));
        }
        let rounds = u32::try_from(rounds)
            .ok()
            .filter(|rounds| *rounds <= MAX_ROUNDS)
            .ok_or_else(|| Fault::TooCostly(format!("PBKDF2 with {rounds} rounds")))?;
        Self::salted(Cost::Pbkdf2 { rounds }, salt)
    }

    fn salted(cost: Cost, salt: Vec<u8>) -> Result<Self, Fault> {
        if salt.len() > MAX_SALT {
            return Err(Fault::TooCostly(format!("a salt of {} bytes", salt.len())));
        }
        Ok(Self { cost, salt })
    }

    /// Does the work. It blocks for about a second.
    pub(super) fn derive(&self, password: &SecretString) -> Result<Zeroizing<[u8; DERIVED_BYTES]>, Fault> {
        let mut derived = Zeroizing::new([0_u8; DERIVED_BYTES]);
        let password = password.expose_secret().as_bytes();
        match self.cost {
            Cost::Scrypt { log_n, r, p } => {
                let unfit = |_| Fault::Malformed("scrypt cannot have these parameters".to_owned());
                let params = Params::new(log_n, r, p).map_err(unfit)?;
                scrypt(password, &self.salt, &params, derived.as_mut_slice())
                    .map_err(|_| Fault::Malformed("scrypt cannot give a key of this length".to_owned()))?;
            }
            Cost::Pbkdf2 { rounds } => {
                pbkdf2_hmac::<Sha256>(password, &self.salt, rounds, derived.as_mut_slice());
            }
        }
        Ok(derived)
    }
}
