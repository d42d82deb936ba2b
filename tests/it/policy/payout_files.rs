//! Which files may go with a payout.

use rampwatch::policy::payout_machine::{FileLimits, FileRefusal, check_file};

#[test]
fn files_are_what_they_are_said_to_be() {
    let types = ["application/pdf", "image/png", "image/jpeg"].map(str::to_owned).to_vec();
    let limits = FileLimits { types, max_bytes: 10, max_files: 5 };
    let check = |kind, content: &[u8]| check_file(kind, content, &limits);
    for (kind, content) in [
        ("application/pdf", b"%PDF-1.7".as_slice()),
        ("image/png", b"\x89PNG\r\n\x1a\n..".as_slice()),
        ("image/jpeg", b"\xff\xd8\xff\xe0".as_slice()),
    ] {
        assert_eq!(check(kind, content), Ok(()));
        assert_eq!(check(kind, b"<html>"), Err(FileRefusal::Content { media_type: kind.to_owned() }));
        assert_eq!(check(kind, b""), Err(FileRefusal::Empty));
    }
    assert!(matches!(check("text/html", b"%PDF-"), Err(FileRefusal::Type { .. })));
    assert_eq!(check("application/pdf", b"%PDF-1.7..."), Err(FileRefusal::TooLarge { bytes: 11, most: 10 }));
}
