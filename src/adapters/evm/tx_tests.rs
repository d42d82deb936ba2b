//! Vectors, made by hand-written Keccak, RLP and curve arithmetic, with anvil's first published key.

use super::*;

use alloy::primitives::{address, b256, hex};

use crate::domain::amount::Amount;
use crate::domain::order::Fees;
use crate::domain::wei::Wei;

const WALLET: Address = address!("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
const TOKEN: Address = address!("0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359");

fn spec(action: TxAction) -> TxSpec {
    let fees = Fees { cap: Wei::from_gwei(90), tip: Wei::from_gwei(30) };
    TxSpec { chain_id: 137, nonce: 7, fees, gas_limit: 80_000, action }
}

fn transfer() -> TxSpec {
    let amount = Amount::from_base_units(1_000_100_000);
    spec(TxAction::Transfer(TransferSpec { wallet: WALLET, token: TOKEN, to: Address::repeat_byte(0xbe), amount }))
}

/// A transfer's signature.
const SIGNATURE: DigestSignature = DigestSignature {
    r: b256!("f1a82142fd53d8b2f8d13af8eeb8d3db3e1732c8dd41092593b7683932549be1"),
    s: b256!("610d0a1b96be23ef7183554b6d7a8cf25653e74fe46a8e3dbf7c0984d08c37b0"),
    y_is_odd: false,
};

#[test]
fn a_transfer() {
    assert_eq!(digest(&transfer()), b256!("fec977dbd43cf5346faad2b69e48afa08cc928343500880a8580484ba0efa547"));
    let signed = assemble(&transfer(), &SIGNATURE).unwrap();
    assert_eq!(signed.hash, b256!("bdfd09d615a9cb0af8c9f2d127e826edc914c6a8c5397608df1ef41bba67bfea"));
    let raw = hex!(
        "02f8b38189078506fc23ac008514f46b040083013880943c499c542cef5e3811e1192ce70d8cc03d5c335980b844a9059cbb00000000"
        "0000000000000000bebebebebebebebebebebebebebebebebebebebe0000000000000000000000000000000000000000000000000000"
        "00003b9c50a0c080a0f1a82142fd53d8b2f8d13af8eeb8d3db3e1732c8dd41092593b7683932549be1a0610d0a1b96be23ef7183554b"
        "6d7a8cf25653e74fe46a8e3dbf7c0984d08c37b0"
    );
    assert_eq!(signed.raw.0.as_ref(), raw);
}

#[test]
fn a_self_send() {
    let spec = spec(TxAction::SelfSend { wallet: WALLET });
    assert_eq!(digest(&spec), b256!("137aefc26e4cd3c995802b00a4b60fec4e7cbbc3e2b4f623c17a667f71389f13"));
    let signature = DigestSignature {
        r: b256!("d8c5278e496c86856a0a0929fbc115efdebcde094347d0a41a79cd99e1805420"),
        s: b256!("77c76db4a67678a3c9b401429fd61666ad5e3d979c6a1f247566af59b3ba07ce"),
        y_is_odd: false,
    };
    let signed = assemble(&spec, &signature).unwrap();
    assert_eq!(signed.hash, b256!("885fd6d924579513a29b94a7e1d03cc6b0da3ca2bf3412ad70673b421ed0378e"));
    let raw = hex!(
        "02f86e8189078506fc23ac008514f46b04008301388094f39fd6e51aad88f6f4ce6ab8827279cfffb922668080c080a0d8c5278e496c"
        "86856a0a0929fbc115efdebcde094347d0a41a79cd99e1805420a077c76db4a67678a3c9b401429fd61666ad5e3d979c6a1f247566af"
        "59b3ba07ce"
    );
    assert_eq!(signed.raw.0.as_ref(), raw);
}

#[test]
fn every_field_is_signed() {
    let base = transfer();
    let TxAction::Transfer(to) = base.action else { panic!() };
    let fees = |cap, tip| Fees { cap: Wei::from_gwei(cap), tip: Wei::from_gwei(tip) };
    let of = |transfer| TxAction::Transfer(transfer);
    let others = [
        TxSpec { chain_id: 138, ..base },
        TxSpec { nonce: 8, ..base },
        TxSpec { fees: fees(91, 30), ..base },
        TxSpec { fees: fees(90, 31), ..base },
        TxSpec { gas_limit: 80_001, ..base },
        TxSpec { action: of(TransferSpec { token: WALLET, ..to }), ..base },
        TxSpec { action: of(TransferSpec { to: WALLET, ..to }), ..base },
        TxSpec { action: of(TransferSpec { amount: Amount::from_base_units(1_000_100_001), ..to }), ..base },
        TxSpec { action: TxAction::SelfSend { wallet: WALLET }, ..base },
    ];
    for other in others {
        assert_ne!(digest(&other), digest(&base), "{other:?}");
        let refused = assemble(&other, &SIGNATURE);
        assert!(matches!(refused, Err(SenderError::WrongSigner { wallet: WALLET, .. })), "{other:?}: {refused:?}");
    }
}

#[test]
fn wrong_signatures() {
    let twin = b256!("9ef2f5e46941dc108e7caab49285730c645af596cade11fe00565507ffaa0991");
    let most = B256::repeat_byte(0xff);
    let wrong = [
        (DigestSignature { s: twin, y_is_odd: true, ..SIGNATURE }, "upper half"),
        (DigestSignature { y_is_odd: true, ..SIGNATURE }, "the key of 0x"),
        (DigestSignature { r: B256::ZERO, ..SIGNATURE }, "no key"),
        (DigestSignature { s: B256::ZERO, ..SIGNATURE }, "no key"),
        (DigestSignature { r: most, ..SIGNATURE }, "no key"),
        (DigestSignature { s: most, ..SIGNATURE }, ""),
    ];
    for (signature, why) in wrong {
        let Err(SenderError::WrongSigner { wallet, detail }) = assemble(&transfer(), &signature) else {
            panic!("{signature:?} was taken")
        };
        assert!(wallet == WALLET && detail.contains(why), "{detail}");
    }
    let TxAction::Transfer(to) = transfer().action else { panic!() };
    let foreign = TxAction::Transfer(TransferSpec { wallet: TOKEN, ..to });
    let refused = assemble(&TxSpec { action: foreign, ..transfer() }, &SIGNATURE).unwrap_err().to_string();
    assert!(refused.contains(&TOKEN.to_string()) && refused.contains(&WALLET.to_string()), "{refused}");
}
