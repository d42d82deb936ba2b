//! Keystore files: how they are written, and when they are not read.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use rampwatch::adapters::signer::{
    Fault, KeyOrigin, KeystoreError, LocalSigner, SignerSettings, create, import, stated_address,
};
use rampwatch::domain::chain::Address;
use rampwatch::ports::signer::Signer as _;

use super::{FOUNDRY, FOUNDRY_ADDRESS, FOUNDRY_KEY, FOUNDRY_PASSWORD, kept, open, secret};
use crate::support::temp_dir;

const PASSWORD: &str = "correct horse battery";

#[tokio::test]
async fn a_new_keystore_is_private_strong_and_opens() {
    let folder = temp_dir();
    let file = folder.path().join("wallet.json");
    let address = create(file.clone(), secret(PASSWORD)).await.unwrap();

    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["wallet.json"], "nothing else is left behind");
    let text = std::fs::read_to_string(&file).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let parameters = &json["crypto"]["kdfparams"];
    assert_eq!((&json["version"], &json["crypto"]["kdf"]), (&3.into(), &"scrypt".into()));
    assert_eq!((&parameters["n"], &parameters["r"], &parameters["p"]), (&262_144.into(), &8.into(), &1.into()));
    assert_eq!((&parameters["dklen"], &json["crypto"]["cipher"]), (&32.into(), &"aes-128-ctr".into()));
    let length = |value: &serde_json::Value| value.as_str().unwrap().len();
    assert_eq!((length(&parameters["salt"]), length(&json["crypto"]["cipherparams"]["iv"])), (64, 32));
    let id = json["id"].as_str().unwrap();
    let marks: Vec<char> = [8, 13, 14, 18, 23].iter().map(|at| id.chars().nth(*at).unwrap()).collect();
    assert!(id.len() == 36 && marks == ['-', '-', '4', '-', '-'], "{id}");
    assert!(!text.contains(PASSWORD));

    assert_eq!(stated_address(&file).unwrap(), Some(address));
    assert_eq!(open(&file, PASSWORD).await.unwrap().address(), address);
    let wrong = open(&file, "Correct horse battery").await.unwrap_err();
    assert!(matches!(&wrong, KeystoreError::Unusable { fault: Fault::WrongPassword, .. }), "{wrong}");
    let said = format!("{wrong} {wrong:?}");
    assert!(said.contains("password is wrong") && !said.to_lowercase().contains("correct horse"), "{said}");
}

#[tokio::test]
async fn an_imported_key_is_kept_and_not_in_the_file() {
    let folder = temp_dir();
    let file = folder.path().join("wallet.json");
    let key = format!("0x{FOUNDRY_KEY}\n");
    let address = import(file.clone(), secret(&key), "the test".to_owned(), secret(PASSWORD)).await.unwrap();
    assert_eq!(address.to_string(), FOUNDRY_ADDRESS);
    let text = std::fs::read_to_string(&file).unwrap().to_lowercase();
    assert!(!text.contains(&FOUNDRY_KEY[..16]) && !text.contains(&FOUNDRY_KEY[48..]), "{text}");
    assert_eq!(open(&file, PASSWORD).await.unwrap().address(), address);

    let other = folder.path().join("other.json");
    let error = import(other.clone(), secret("0x12"), "the test".to_owned(), secret(PASSWORD)).await.unwrap_err();
    assert!(error.to_string().starts_with("the test holds no private key"), "{error}");
    assert!(!other.exists());
}

#[tokio::test]
async fn nothing_is_overwritten_and_no_password_is_no_password() {
    let (folder, file) = kept(FOUNDRY, 0o600);
    let dangling = folder.path().join("dangling");
    symlink(folder.path().join("nowhere"), &dangling).unwrap();
    for taken in [&file, &dangling, &folder.path().to_owned()] {
        let error = create(taken.clone(), secret(PASSWORD)).await.unwrap_err();
        assert!(matches!(&error, KeystoreError::Exists(path) if path == taken), "{error}");
        assert!(error.to_string().contains("never overwritten"), "{error}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), FOUNDRY);
    assert!(!folder.path().join("nowhere").exists());

    let free = folder.path().join("free.json");
    let error = create(free.clone(), secret("")).await.unwrap_err();
    assert!(matches!(error, KeystoreError::EmptyPassword), "{error}");
    let error = create(folder.path().join("no/such/folder.json"), secret(PASSWORD)).await.unwrap_err();
    assert!(matches!(&error, KeystoreError::Refused { .. }) && error.to_string().contains("no/such"), "{error}");
    assert!(!free.exists());
}

#[tokio::test]
async fn only_the_owner_may_reach_what_is_read() {
    let (_folder, file) = kept(FOUNDRY, 0o600);
    for (mode, good) in [
        (0o600, true),
        (0o400, true),
        (0o640, false),
        (0o644, false),
        (0o604, false),
        (0o620, false),
        (0o602, false),
        (0o610, false),
    ] {
        std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        match open(&file, FOUNDRY_PASSWORD).await {
            Ok(signer) => assert!(good && signer.address().to_string() == FOUNDRY_ADDRESS, "{mode:o}"),
            Err(error) => {
                let said = error.to_string();
                let path = file.display().to_string();
                assert!(!good && said.contains(&format!("chmod 600 {path}")), "{mode:o}: {said}");
                assert!(said.contains(&format!("mode {mode:04o}")), "{said}");
                assert!(stated_address(&file).is_err(), "not even looked at");
            }
        }
    }
}

#[tokio::test]
async fn what_is_no_keystore_file_is_named() {
    let folder = temp_dir();
    let missing = open(&folder.path().join("none.json"), "x").await.unwrap_err();
    assert!(matches!(&missing, KeystoreError::Missing(_)), "{missing}");
    assert!(missing.to_string().contains("none.json") && missing.to_string().contains("wallet new"), "{missing}");
    let no_file = open(folder.path(), "x").await.unwrap_err().to_string();
    assert!(no_file.contains("not a file"), "{no_file}");
    let (_folder, long) = kept(format!("{FOUNDRY}{}", " ".repeat(20_000)), 0o600);
    assert!(open(&long, FOUNDRY_PASSWORD).await.unwrap_err().to_string().contains("too long"));
}

#[tokio::test]
async fn the_key_must_be_that_of_the_configured_address() {
    let (_folder, file) = kept(FOUNDRY, 0o600);
    let open_as = async |address: Address| {
        let origin = KeyOrigin::Keystore { file: file.clone(), password: secret(FOUNDRY_PASSWORD) };
        LocalSigner::open(SignerSettings { origin, address: Some(address) }).await
    };
    assert!(open_as(FOUNDRY_ADDRESS.parse().unwrap()).await.is_ok());
    let other = Address::repeat_byte(1);
    let error = open_as(other).await.unwrap_err().to_string();
    assert!(error.contains(&other.to_string()) && error.contains(FOUNDRY_ADDRESS), "{error}");
    assert!(error.contains("wallet.address"), "{error}");
    assert_eq!(stated_address(&file).unwrap(), None, "Foundry writes no address");
}
