//! Known answers: keystores of the Web3 secret storage definition, of geth and of Foundry, and published signatures.

use alloy::primitives::{Signature, U256, keccak256};
use rampwatch::adapters::signer::{KeyError, KeyOrigin, KeystoreError, LocalSigner, PrivateKey, SignerSettings};
use rampwatch::domain::chain::{Address, B256};
use rampwatch::ports::signer::Signer as _;

use super::{FOUNDRY, FOUNDRY_ADDRESS, FOUNDRY_KEY, FOUNDRY_PASSWORD, open_text, secret};

/// A keystore as the definition prints it, with these functions and values.
fn document(kdf: &str, iv: &str, ciphertext: &str, mac: &str) -> String {
    format!(
        r#"{{"crypto":{{"cipher":"aes-128-ctr","cipherparams":{{"iv":"{iv}"}},"ciphertext":"{ciphertext}",{kdf},
        "mac":"{mac}"}},"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}}"#
    )
}

#[tokio::test]
async fn the_definitions_scrypt_vector_opens() {
    // The vectors of https://github.com/ethereum/wiki/wiki/Web3-Secret-Storage-Definition, which geth tests with too.
    let kdf = r#""kdf":"scrypt","kdfparams":{"dklen":32,"n":262144,"r":1,"p":8,
        "salt":"ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19"}"#;
    let text = document(
        kdf,
        "83dbcc02d8ccb40e466191a123791e0e",
        "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
        "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097",
    );
    let signer = open_text(&text, "testpassword").await.unwrap();
    assert_eq!(signer.address(), "0x008AeEda4D805471dF9b2A5B0f38A0C3bCBA786b".parse::<Address>().unwrap());
}

#[tokio::test]
async fn the_definitions_pbkdf2_vector_opens() {
    let kdf = r#""kdf":"pbkdf2","kdfparams":{"c":262144,"dklen":32,"prf":"hmac-sha256",
        "salt":"ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"}"#;
    let text = document(
        kdf,
        "6087dab2f9fdbbfaddc31a909735c1e6",
        "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
        "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2",
    );
    let signer = open_text(&text, "testpassword").await.unwrap();
    assert_eq!(signer.address(), "0x008AeEda4D805471dF9b2A5B0f38A0C3bCBA786b".parse::<Address>().unwrap());
}

#[tokio::test]
async fn geths_short_keys_open() {
    let kdf = |salt: &str| format!(r#""kdf":"scrypt","kdfparams":{{"dklen":32,"n":2,"r":8,"p":1,"salt":"{salt}"}}"#);
    let cases = [
        (
            document(
                &kdf("711f816911c92d649fb4c84b047915679933555030b3552c1212609b38208c63"),
                "e0c41130a323adc1446fc82f724bca2f",
                "9517cd5bdbe69076f9bf5057248c6c050141e970efa36ce53692d5d59a3984",
                "d5e116151c6aa71470e67a7d42c9620c75c4d23229847dcc127794f0732b0db5",
            ),
            "fa7b3db73dc7dfdf8c5fbdb796d741e4488628c41fc4febd9160a866ba0f35",
        ),
        (
            document(
                &kdf("d0769e608fb86cda848065642a9c6fa046845c928175662b8e356c77f914cd3b"),
                "3ca92af36ad7c2cd92454c59cea5ef00",
                "108b7d34f3442fc26ab1ab90ca91476ba6bfa8c00975a49ef9051dc675aa",
                "75d0e6759f7b3cefa319c3be41680ab6beea7d8328653474bd06706d4cc67420",
            ),
            "81c29e8142bb6a81bef5a92bda7a8328a5c85bb2f9542e76f9b0f94fc018",
        ),
    ];
    for (text, key) in cases {
        let expected = PrivateKey::from_hex(&secret(&format!("{key:0>64}"))).unwrap().address();
        assert_eq!(open_text(&text, "foo").await.unwrap().address(), expected);
    }
}

#[tokio::test]
async fn keystores_of_geth_and_foundry_open() {
    // geth's testdata/very-light-scrypt.json, which has an address and an empty password.
    let geth = r#"{"address":"45dea0fb0bba44f4fcf290bba71fd57d7117cbb8","crypto":{"cipher":"aes-128-ctr",
        "ciphertext":"b87781948a1befd247bff51ef4063f716cf6c2d3481163e9a8f42e1f9bb74145","cipherparams":
        {"iv":"dc4926b48a105133d2f16b96833abf1e"},"kdf":"scrypt","kdfparams":{"dklen":32,"n":2,"p":1,"r":8,
        "salt":"004244bbdc51cadda545b1cfa43cff9ed2ae88e08c61f1479dbb45410722f8f0"},
        "mac":"39990c1684557447940d4c69e06b1b82b2aceacb43f284df65c956daf3046b85"},
        "id":"ce541d8d-c79b-40f8-9f8c-20f59616faba","version":3}"#;
    let signer = open_text(geth, "").await.unwrap();
    assert_eq!(signer.address(), "0x45dEa0FB0bBa44F4FcF290bbA71fD57D7117CBb8".parse::<Address>().unwrap());
    // Some old wallets have a capital letter, and some write 0x.
    let old = geth.replace("\"crypto\"", "\"Crypto\"").replace("\"45dea", "\"0x45dea");
    assert_eq!(open_text(&old, "").await.unwrap().address(), signer.address());

    let signer = open_text(FOUNDRY, FOUNDRY_PASSWORD).await.unwrap();
    assert_eq!(signer.address().to_string(), FOUNDRY_ADDRESS);
}

#[tokio::test]
async fn signs_as_published() {
    // The example of EIP-155: its key, its signing hash, and its r, s and v = 37, which says that y is even.
    let key = PrivateKey::from_hex(&secret(&"46".repeat(32))).unwrap();
    assert_eq!(key.address().to_string(), "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F");
    let digest: B256 = "0xdaf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53".parse().unwrap();
    let signature = key.sign(digest).unwrap();
    let word = |text: &str| text.parse::<B256>().unwrap();
    assert_eq!(signature.r, word("0x28ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276"));
    assert_eq!(signature.s, word("0x67cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"));
    assert!(!signature.y_is_odd);
}

#[tokio::test]
async fn every_signature_is_the_keys_and_low() {
    let signer = raw(FOUNDRY_KEY).await.unwrap();
    let half = U256::from_str_radix("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0", 16).unwrap();
    let (mut odd, mut even) = (0, 0);
    for number in 0_u64..48 {
        let digest = keccak256(number.to_be_bytes());
        let made = signer.sign(digest).await.unwrap();
        let (r, s) = (U256::from_be_bytes(made.r.0), U256::from_be_bytes(made.s.0));
        assert!(s <= half && !s.is_zero() && !r.is_zero(), "{number}");
        let recovered = Signature::new(r, s, made.y_is_odd).recover_address_from_prehash(&digest).unwrap();
        assert_eq!(recovered, signer.address(), "{number}");
        assert_eq!(signer.sign(digest).await.unwrap(), made, "the same digest gives the same signature");
        if made.y_is_odd { odd += 1 } else { even += 1 }
    }
    assert!(odd > 0 && even > 0, "both parities come up: {odd} {even}");
}

async fn raw(text: &str) -> Result<LocalSigner, KeystoreError> {
    let origin = KeyOrigin::Raw { variable: "REHEARSAL_KEY".to_owned(), key: secret(text) };
    LocalSigner::open(SignerSettings { origin, address: None }).await
}

#[tokio::test]
async fn raw_keys_are_read_with_and_without_0x_and_shown_nowhere() {
    for text in [FOUNDRY_KEY.to_owned(), format!("0x{FOUNDRY_KEY}"), format!("{}\n", FOUNDRY_KEY.to_uppercase())] {
        let signer = raw(&text).await.unwrap();
        assert_eq!(signer.address().to_string(), FOUNDRY_ADDRESS);
        let shown = format!("{signer:?} {signer:#?}").to_lowercase();
        assert!(!shown.contains(&FOUNDRY_KEY[..16]) && shown.contains(&FOUNDRY_ADDRESS.to_lowercase()), "{shown}");
    }
    let key = PrivateKey::from_hex(&secret(FOUNDRY_KEY)).unwrap();
    assert!(!format!("{key:?}").contains(&FOUNDRY_KEY[..16]));
    let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    let cases = [
        ("", KeyError::NotHex),
        ("0x", KeyError::NotHex),
        (&FOUNDRY_KEY[..62], KeyError::NotHex),
        (&format!("{FOUNDRY_KEY}00"), KeyError::NotHex),
        (&format!("{} ", &FOUNDRY_KEY[..63]), KeyError::NotHex),
        (&FOUNDRY_KEY.replace('a', "g"), KeyError::NotHex),
        (&"0".repeat(64), KeyError::OutOfRange),
        (order, KeyError::OutOfRange),
        (&"f".repeat(64), KeyError::OutOfRange),
    ];
    for (text, expected) in cases {
        match raw(text).await {
            Err(error @ KeystoreError::Key { fault, .. }) => {
                assert_eq!(fault, expected, "{text}");
                let said = format!("{error} {error:?}");
                assert!(said.contains("REHEARSAL_KEY") && said.contains("wallet.key_env"), "{said}");
                assert!(text.len() < 8 || !said.contains(&text[..8]), "{said}");
            }
            other => panic!("{text} must be refused: {other:?}"),
        }
    }
    assert!(PrivateKey::from_hex(&secret(&order.replace("141", "140"))).is_ok(), "the last key there is");
}
