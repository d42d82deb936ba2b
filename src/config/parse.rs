//! Single values: addresses, names, URLs and paths. Each error is the rest of a sentence that starts with the key.

use std::path::{Path, PathBuf};

use url::Url;

use crate::domain::chain::Address;
use crate::domain::odd::Odd;
use crate::domain::text::is_hidden;
use crate::outbound::is_loopback;

/// The most characters of a label or an endpoint's name.
const MAX_LABEL: usize = 64;

/// An address. Mixed case must be a right checksum (EIP-55); all-lowercase has none to check.
pub(super) fn address(text: &str) -> Result<Address, String> {
    let digits = text.strip_prefix("0x").unwrap_or_default();
    if digits.len() != 40 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("it is no address: write 0x and 40 hexadecimal digits".to_owned());
    }
    let address: Address = text.parse().map_err(|_| "it is no address".to_owned())?;
    if address.is_zero() {
        return Err("it is the zero address, which holds no contract".to_owned());
    }
    let lowercase = !digits.bytes().any(|byte| byte.is_ascii_uppercase());
    if lowercase || Address::parse_checksummed(text, None).is_ok() {
        return Ok(address);
    }
    Err("its checksum (EIP-55) is wrong: a character was changed; copy the address again from where it came".to_owned())
}

/// A short text for people.
pub(super) fn label(text: &str) -> Result<String, String> {
    let printable = |letter: char| !is_hidden(letter) && (letter == ' ' || !letter.is_whitespace());
    if text.trim() != text || text.is_empty() || text.chars().count() > MAX_LABEL || !text.chars().all(printable) {
        return Err(format!("it must be a short text of 1 to {MAX_LABEL} printable characters"));
    }
    Ok(text.to_owned())
}

/// A name that goes into logs and metrics.
pub(super) fn endpoint_name(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if text.is_empty() || text.len() > MAX_LABEL || !text.bytes().all(plain) {
        return Err(format!("it must be 1 to {MAX_LABEL} letters, digits, '-', '_' or '.'"));
    }
    Ok(text.to_owned())
}

/// A host's name or address, without a port.
pub(super) fn host(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    let named = !text.is_empty() && text.len() <= 253 && text.bytes().all(plain);
    if named || text.parse::<std::net::IpAddr>().is_ok() {
        return Ok(text.to_ascii_lowercase());
    }
    Err("it must be a host's name or address without a port, such as rampwatch.example".to_owned())
}

/// A URL of plain characters. Whatever reads one drops tabs and line breaks, and takes letters beyond ASCII for another host
/// than they show.
pub(super) fn url(text: &str, expected: &str) -> Result<Url, String> {
    let text = text.trim_matches(' ');
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Url::parse(text).map_err(|_| expected.to_owned());
    }
    let blank = "it has a blank in it, which no URL has: remove it";
    Err(Odd::in_plain(text).map_or_else(|| blank.to_owned(), |odd| odd.to_string()))
}

/// The URL of a node, of one of two schemes. Whoever is on the way of the plain one answers for the chain, so it is for
/// loopback, and for the hosts that are allowed by name; `None` when those are not known.
pub(super) fn rpc_url(text: &str, schemes: [&str; 2], allowed: Option<&[String]>) -> Result<Url, String> {
    let [plain, secure] = schemes;
    let expected = || format!("it must be a URL that starts with {secure}:// or {plain}://");
    let url = url(text, &expected())?;
    if !schemes.contains(&url.scheme()) || url.host().is_none() {
        return Err(expected());
    }
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let allowed = allowed.is_none_or(|allowed| allowed.iter().any(|name| name == host));
    if url.scheme() == plain && !is_loopback(&url) && !allowed {
        return Err(format!(
            "it must start with {secure}://: over {plain}:// anyone on the way can answer for the node; where the way is \
             yours alone, allow its host by name with rpc.allow_plain_http"
        ));
    }
    Ok(url)
}

/// The payment API's base URL, without a trailing slash. The key travels there, so plain HTTP is for loopback only.
pub(super) fn base_url(text: &str) -> Result<String, String> {
    let url = url(text, "it must be a URL that starts with https://")?;
    let extras =
        !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some();
    if extras {
        return Err(
            "it must have no user, password, query or fragment: the key is given by key_env or key_file".to_owned()
        );
    }
    match url.scheme() {
        "https" if url.host().is_some() => {}
        "http" if is_loopback(&url) => {}
        "http" => return Err("it must start with https://: over http:// anyone on the way reads the key".to_owned()),
        _ => return Err("it must be a URL that starts with https://".to_owned()),
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Whether a text begins as a secret does, whatever quotation marks or blanks are before it, and in whichever case.
pub(super) fn begins_as(text: &str, start: &str) -> bool {
    let bare = text.trim_start_matches(|letter: char| !letter.is_ascii_alphanumeric());
    bare.get(..start.len()).is_some_and(|found| found.eq_ignore_ascii_case(start))
}

/// The name of an environment variable. A key in its place is recognised, and not shown.
pub(super) fn variable_name(text: &str) -> Result<String, String> {
    if begins_as(text, "sk_") {
        return Err("this looks like the key itself: give the name of the variable that holds it".to_owned());
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let digit_first = text.starts_with(|letter: char| letter.is_ascii_digit());
    if text.is_empty() || text.len() > MAX_LABEL || digit_first || !text.bytes().all(plain) {
        return Err("it must be the name of an environment variable: letters, digits and '_'".to_owned());
    }
    Ok(text.to_owned())
}

/// A path; a relative one starts at `base`.
pub(super) fn path(base: &Path, text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.contains('\0') {
        return Err("it must be a path".to_owned());
    }
    if text.starts_with('~') {
        return Err("\"~\" is not understood here: write the path in full".to_owned());
    }
    Ok(base.join(text))
}
