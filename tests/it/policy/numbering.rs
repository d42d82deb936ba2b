//! Which told transfer is which known one, however a node numbers them.

use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::{Address, B256, BlockRef, Transfer};
use rampwatch::domain::deposit::Deposit;
use rampwatch::domain::time::Timestamp;
use rampwatch::policy::numbering::as_known;

const AT: Timestamp = Timestamp::from_secs(1_000);

fn transfer(tx: u8, log_index: u64, amount: u128) -> Transfer {
    Transfer {
        block: BlockRef { number: 7, hash: B256::repeat_byte(7) },
        block_time: Some(AT),
        tx_hash: B256::repeat_byte(tx),
        log_index,
        token: Address::repeat_byte(1),
        from: Address::repeat_byte(2),
        to: Address::repeat_byte(3),
        amount: Amount::from_base_units(amount),
    }
}

fn deposit(tx: u8, log_index: u64, amount: u128) -> Deposit {
    Deposit::from_transfer(137, &transfer(tx, log_index, amount), AT, AT)
}

/// Transaction, number and amount of each.
type Row = (u8, u64, u128);

#[test]
fn a_known_transfer_keeps_its_number_and_no_other_takes_it() {
    let table: [(&[Row], &[Row], &[u64]); 8] = [
        // Nothing is known; the same again; by transaction instead of by block.
        (&[], &[(1, 0, 5)], &[0]),
        (&[(1, 9, 5)], &[(1, 9, 5)], &[9]),
        (&[(1, 9, 5)], &[(1, 0, 5)], &[9]),
        // Another amount, or another transaction, is another transfer.
        (&[(1, 9, 5)], &[(1, 0, 6)], &[0]),
        (&[(1, 9, 5)], &[(2, 0, 5)], &[0]),
        // Two alike, both known, one known, and one of them under its own number.
        (&[(1, 8, 5), (1, 9, 5)], &[(1, 0, 5), (1, 1, 5)], &[8, 9]),
        (&[(1, 9, 5)], &[(1, 0, 5), (1, 1, 5)], &[9, 1]),
        (&[(1, 8, 5), (1, 1, 5)], &[(1, 8, 5), (1, 9, 5)], &[8, 1]),
    ];
    for (known, told, expected) in table {
        let known: Vec<Deposit> = known.iter().map(|(tx, index, amount)| deposit(*tx, *index, *amount)).collect();
        let mut told: Vec<Transfer> = told.iter().map(|(tx, index, amount)| transfer(*tx, *index, *amount)).collect();
        as_known(&mut told, &known);
        let numbers: Vec<u64> = told.iter().map(|it| it.log_index).collect();
        assert_eq!(numbers, expected, "{known:?}");
    }
}
