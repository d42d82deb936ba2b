//! The attacks, one file for each finding. A new one is a file here and a line in [`all`].
//!
//! A row's `play` builds its world, lets things happen, lies only if it is told to, and fails with [`broken`] where the law of
//! the finding is broken. Whatever comes after the lie comes in the control too.
//!
//! [`broken`]: crate::row::broken

use crate::row::Row;

mod f1;
mod f10;
mod f11;
mod f13;
mod f14;
mod f16;
mod f17;
mod f18;
mod f19;
mod f2;
mod f3;
mod f4;
mod f5;
mod f6;
mod f7;
mod f8;
mod f9;
mod fee_ceiling;
mod s1;
mod s12;
mod s2;
mod s3;

/// All of them, in the order of the findings.
pub(crate) fn all() -> Vec<Row> {
    let files = [
        f1::ROWS,
        f2::ROWS,
        f3::ROWS,
        f4::ROWS,
        f5::ROWS,
        f6::ROWS,
        f7::ROWS,
        f8::ROWS,
        f9::ROWS,
        f10::ROWS,
        f11::ROWS,
        f13::ROWS,
        f14::ROWS,
        f16::ROWS,
        f17::ROWS,
        f18::ROWS,
        f19::ROWS,
        s1::ROWS,
        s2::ROWS,
        s3::ROWS,
        s12::ROWS,
        fee_ceiling::ROWS,
    ];
    files.concat()
}
