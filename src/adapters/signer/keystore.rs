//! The keystore format: Web3 secret storage, version 3.
//!
//! A key is derived from the password; half of it encrypts the private key (AES-128 in counter mode), the other half
//! authenticates the ciphertext (Keccak-256). Reading accepts what geth, Foundry and their kin write.

use aes::Aes128;
use alloy::primitives::{hex, keccak256};
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit as _, StreamCipher as _};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::error::Fault;
use super::kdf::{DERIVED_BYTES, Kdf, LOG_N, P, R};
use super::key::{KEY_BYTES, PrivateKey};
use crate::domain::chain::Address;
use crate::domain::private::encoding_fault;

/// The only version that is read and written.
const VERSION: u64 = 3;
const CIPHER: &str = "aes-128-ctr";
const PRF: &str = "hmac-sha256";
/// How many bytes encrypt; the rest authenticates.
const CIPHER_KEY_BYTES: usize = 16;
const IV_BYTES: usize = 16;
const SALT_BYTES: usize = 32;

/// The version alone, which is the same field in all versions.
#[derive(Deserialize)]
struct VersionOnly {
    version: u64,
}

/// The file, as JSON.
#[derive(Serialize, Deserialize)]
struct Document {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    // Some old wallets write it with a capital letter.
    #[serde(alias = "Crypto")]
    crypto: Crypto,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    version: u64,
}

#[derive(Serialize, Deserialize)]
struct Crypto {
    cipher: String,
    cipherparams: CipherParams,
    ciphertext: String,
    kdf: String,
    kdfparams: KdfParams,
    mac: String,
}

#[derive(Serialize, Deserialize)]
struct CipherParams {
    iv: String,
}

/// The parameters of either function; each takes its own.
#[derive(Serialize, Deserialize)]
struct KdfParams {
    dklen: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    p: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    c: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prf: Option<String>,
    salt: String,
}

/// A keystore that was read, within bounds and not opened yet.
#[derive(Debug)]
pub(super) struct Keystore {
    stated: Option<Address>,
    kdf: Kdf,
    iv: [u8; IV_BYTES],
    ciphertext: Vec<u8>,
    mac: Vec<u8>,
}

impl Keystore {
    /// Reads the file's text. What the parser says is not repeated: it quotes the text, and somebody may have put a
    /// raw key there.
    pub(super) fn parse(text: &[u8]) -> Result<Self, Fault> {
        if let Some(fault) = encoding_fault(text) {
            return Err(Fault::Malformed(format!("it {fault}")));
        }
        // Other versions have other fields: which version it is says more than which field is missing.
        if let Ok(VersionOnly { version }) = serde_json::from_slice(text)
            && version != VERSION
        {
            return Err(Fault::Malformed(other_version(version)));
        }
        let mut reader = serde_json::Deserializer::from_slice(text);
        let document: Document = serde_path_to_error::deserialize(&mut reader)
            .map_err(|error| Fault::Malformed(json_fault(&error.path().to_string(), error.inner())))?;
        reader.end().map_err(|error| Fault::Malformed(json_fault(".", &error)))?;
        if document.version != VERSION {
            return Err(Fault::Malformed(other_version(document.version)));
        }
        let crypto = document.crypto;
        if crypto.cipher != CIPHER {
            return Err(Fault::Malformed(format!("its cipher is not {CIPHER}")));
        }
        let iv = bytes("crypto.cipherparams.iv", &crypto.cipherparams.iv)?;
        let iv = iv.try_into().map_err(|_| Fault::Malformed(format!("its iv has not {IV_BYTES} bytes")))?;
        let ciphertext = bytes("crypto.ciphertext", &crypto.ciphertext)?;
        // Old files left a key's leading zeros away.
        if ciphertext.is_empty() || ciphertext.len() > KEY_BYTES {
            return Err(Fault::Malformed(format!("its ciphertext has not 1 to {KEY_BYTES} bytes")));
        }
        let mac = bytes("crypto.mac", &crypto.mac)?;
        let stated = document.address.as_deref().map(stated_address).transpose()?;
        Ok(Self { stated, kdf: kdf(&crypto.kdf, &crypto.kdfparams)?, iv, ciphertext, mac })
    }

    /// The address that the file says it is for. Anyone who could write the file could have changed it.
    pub(super) const fn stated(&self) -> Option<Address> {
        self.stated
    }

    /// Opens it. Blocks for about a second.
    pub(super) fn open(&self, password: &SecretString) -> Result<PrivateKey, Fault> {
        let derived = self.kdf.derive(password)?;
        let right = authenticated(&derived, &self.ciphertext).as_slice().ct_eq(&self.mac);
        if !bool::from(right) {
            return Err(Fault::WrongPassword);
        }
        let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
        let start = KEY_BYTES.saturating_sub(self.ciphertext.len());
        let place = key.get_mut(start..).unwrap_or_default();
        place.copy_from_slice(&self.ciphertext);
        crypt(&derived, &self.iv, place)?;
        let key = PrivateKey::from_bytes(key.as_slice()).map_err(|error| Fault::Malformed(format!("it {error}")))?;
        let actual = key.address();
        match self.stated {
            Some(stated) if stated != actual => Err(Fault::OtherAddress { stated, actual }),
            _ => Ok(key),
        }
    }
}

/// The text of a keystore for the key, at geth's standard cost. Blocks for about a second.
pub(super) fn sealed(key: &PrivateKey, password: &SecretString) -> Result<String, String> {
    let (mut salt, mut iv, mut id) = ([0_u8; SALT_BYTES], [0_u8; IV_BYTES], [0_u8; 16]);
    for random in [salt.as_mut_slice(), &mut iv, &mut id] {
        getrandom::fill(random).map_err(|error| format!("no random numbers: {error}"))?;
    }
    let kdf = Kdf::standard(salt.to_vec());
    let derived = kdf.derive(password).map_err(|fault| fault.to_string())?;
    let mut ciphertext = key.to_bytes();
    crypt(&derived, &iv, ciphertext.as_mut_slice()).map_err(|fault| fault.to_string())?;
    let document = Document {
        address: Some(hex::encode(key.address())),
        crypto: Crypto {
            cipher: CIPHER.to_owned(),
            cipherparams: CipherParams { iv: hex::encode(iv) },
            ciphertext: hex::encode(ciphertext.as_slice()),
            kdf: "scrypt".to_owned(),
            kdfparams: KdfParams {
                dklen: DERIVED_BYTES as u64,
                n: Some(1_u64 << LOG_N),
                r: Some(u64::from(R)),
                p: Some(u64::from(P)),
                c: None,
                prf: None,
                salt: hex::encode(salt),
            },
            mac: hex::encode(authenticated(&derived, ciphertext.as_slice())),
        },
        id: Some(uuid(id)),
        version: VERSION,
    };
    let mut text = serde_json::to_string_pretty(&document).map_err(|error| error.to_string())?;
    text.push('\n');
    Ok(text)
}

fn other_version(version: u64) -> String {
    let more = if version == 4 { "; version 4 holds a validator's key, which signs no transactions" } else { "" };
    format!("its version is {version}, and only {VERSION} is known{more}")
}

/// What is wrong with the JSON, by the field. The parser's own words are not repeated where they may quote the file.
fn json_fault(path: &str, error: &serde_json::Error) -> String {
    let place = format!("(line {}, column {})", error.line(), error.column());
    if !error.is_data() {
        return format!("it is no JSON {place}");
    }
    let said = error.to_string();
    // A field's name in these words is one of ours.
    let field = |words: &str| said.strip_prefix(words).and_then(|rest| rest.split('`').next());
    let within = |field: &str| if path == "." { field.to_owned() } else { format!("{path}.{field}") };
    if let Some(field) = field("missing field `") {
        return format!("it has no {} {place}", within(field));
    }
    if let Some(field) = field("duplicate field `") {
        let both = if field == "crypto" { " (crypto and Crypto count as one)" } else { "" };
        let field = within(field);
        return format!("it has {field} twice{both}: which of the two counts is not guessed; remove one {place}");
    }
    let found = KINDS.into_iter().find(|(kind, _)| said.starts_with(&format!("invalid type: {kind}")));
    let found = found.map_or("a value that does not fit", |(_, words)| words);
    let remedy = if path == "version" { "; write 3, without quotation marks" } else { "" };
    let field = if path == "." { "content".to_owned() } else { path.to_owned() };
    format!("its {field} is of the wrong kind: it is {found}{remedy} {place}")
}

/// What the parser calls the kinds of JSON, and what people do.
const KINDS: [(&str, &str); 7] = [
    ("string", "a text"),
    ("integer", "a number"),
    ("floating point", "a number with a point"),
    ("boolean", "true or false"),
    ("null", "null"),
    ("sequence", "a list"),
    ("map", "an object"),
];

fn kdf(name: &str, params: &KdfParams) -> Result<Kdf, Fault> {
    if params.dklen != DERIVED_BYTES as u64 {
        return Err(Fault::Malformed(format!("its crypto.kdfparams.dklen is not {DERIVED_BYTES}")));
    }
    let needed = |name: &str, value: Option<u64>| {
        value.ok_or_else(|| Fault::Malformed(format!("it has no crypto.kdfparams.{name}")))
    };
    let salt = bytes("crypto.kdfparams.salt", &params.salt)?;
    match name {
        "scrypt" => Kdf::scrypt(needed("n", params.n)?, needed("r", params.r)?, needed("p", params.p)?, salt),
        "pbkdf2" if params.prf.as_deref() == Some(PRF) => Kdf::pbkdf2(needed("c", params.c)?, salt),
        "pbkdf2" => Err(Fault::Malformed(format!("its crypto.kdfparams.prf is not {PRF}"))),
        _ => Err(Fault::Malformed("its crypto.kdf is neither scrypt nor pbkdf2".to_owned())),
    }
}

fn bytes(name: &str, text: &str) -> Result<Vec<u8>, Fault> {
    hex::decode(text).map_err(|_| Fault::Malformed(format!("its {name} is not hexadecimal")))
}

fn stated_address(text: &str) -> Result<Address, Fault> {
    let bytes = bytes("address", text)?;
    Address::try_from(bytes.as_slice()).map_err(|_| Fault::Malformed("its address has not 20 bytes".to_owned()))
}

/// What proves that password and ciphertext belong together.
fn authenticated(derived: &[u8; DERIVED_BYTES], ciphertext: &[u8]) -> [u8; 32] {
    let (_, authenticates) = derived.split_at(CIPHER_KEY_BYTES);
    let mut whole = Zeroizing::new(Vec::with_capacity(DERIVED_BYTES));
    whole.extend_from_slice(authenticates);
    whole.extend_from_slice(ciphertext);
    keccak256(whole.as_slice()).0
}

/// Encrypts what is plain, and the other way round.
fn crypt(derived: &[u8; DERIVED_BYTES], iv: &[u8; IV_BYTES], text: &mut [u8]) -> Result<(), Fault> {
    let (encrypts, _) = derived.split_at(CIPHER_KEY_BYTES);
    let broken = || Fault::Malformed("its cipher cannot be set up".to_owned());
    let mut cipher = Ctr128BE::<Aes128>::new_from_slices(encrypts, iv).map_err(|_| broken())?;
    cipher.try_apply_keystream(text).map_err(|_| broken())
}

/// A random UUID (version 4) of these bytes.
fn uuid(mut random: [u8; 16]) -> String {
    let [.., version, _, variant, _, _, _, _, _, _, _] = &mut random;
    *version = (*version & 0x0f) | 0x40;
    *variant = (*variant & 0x3f) | 0x80;
    let digits = hex::encode(random);
    let mut text = String::with_capacity(36);
    for (at, digit) in digits.chars().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
    text
}
