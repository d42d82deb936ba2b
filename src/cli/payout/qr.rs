//! A QR code of a payment link, drawn with half-block characters: two rows of modules to a line of text.
//!
//! Deliberately absent: pictures. What is drawn is a text that any terminal shows and any telephone reads.

use fast_qr::{ECL, QRBuilder};

/// How many light modules are around the code; readers need four (ISO/IEC 18004).
const QUIET: usize = 4;

/// Black on white, whatever the terminal's own colours are.
const BLACK_ON_WHITE: &str = "\u{1b}[38;5;16;48;5;231m";
/// The terminal's own colours again.
const PLAIN: &str = "\u{1b}[0m";

/// How the code is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    /// For a terminal: black on white by escape sequences, so that it reads on dark and on light ones.
    Terminal,
    /// For a file or a pipe: characters alone; dark modules are inked.
    Text,
}

/// Draws `text` as a QR code; `None` when it is too long for one.
pub(super) fn draw(text: &str, ink: Ink) -> Option<String> {
    let code = QRBuilder::new(text).ecl(ECL::M).build().ok()?;
    let modules: Vec<Vec<bool>> = code
        .data
        .chunks(code.size.max(1))
        .take(code.size)
        .map(|row| row.iter().map(|module| module.value()).collect())
        .collect();
    Some(half_blocks(&modules, ink))
}

/// Draws rows of modules (true: dark) with their quiet zone.
fn half_blocks(modules: &[Vec<bool>], ink: Ink) -> String {
    let side = modules.len().saturating_add(QUIET.saturating_mul(2));
    let is_dark = |x: usize, y: usize| {
        let row = y.checked_sub(QUIET).and_then(|y| modules.get(y));
        row.and_then(|row| x.checked_sub(QUIET).and_then(|x| row.get(x))).copied().unwrap_or(false)
    };
    let mut drawn = String::new();
    for top in (0..side).step_by(2) {
        if ink == Ink::Terminal {
            drawn.push_str(BLACK_ON_WHITE);
        }
        drawn.extend((0..side).map(|x| match (is_dark(x, top), is_dark(x, top.saturating_add(1))) {
            (true, true) => '█',
            (true, false) => '▀',
            (false, true) => '▄',
            (false, false) => ' ',
        }));
        if ink == Ink::Terminal {
            drawn.push_str(PLAIN);
        }
        drawn.push('\n');
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: &str = "ethereum:0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359@137/transfer?\
                        address=0x70997970C51812dc3A010C7d01b50e0d17dc79C8&uint256=1000000001";

    /// What a reader reads from the drawing.
    fn read(drawn: &str) -> String {
        const SCALE: usize = 4;
        let rows: Vec<Vec<char>> = drawn.lines().map(|line| line.chars().collect()).collect();
        let width = rows[0].len();
        assert!(rows.iter().all(|row| row.len() == width), "a straight edge");
        let is_dark = |x: usize, y: usize| {
            let drawn = rows[y / 2][x];
            drawn == '█' || drawn == if y.is_multiple_of(2) { '▀' } else { '▄' }
        };
        let (wide, high) = (width.saturating_mul(SCALE), rows.len().saturating_mul(2).saturating_mul(SCALE));
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(wide, high, |x, y| {
            if is_dark(x / SCALE, y / SCALE) { 0 } else { 255 }
        });
        let grids = image.detect_grids();
        assert_eq!(grids.len(), 1, "{drawn}");
        grids[0].decode().unwrap().1
    }

    #[test]
    fn a_reader_reads_the_link() {
        let drawn = draw(LINK, Ink::Text).unwrap();
        assert_eq!(read(&drawn), LINK, "{drawn}");
        assert!(drawn.lines().all(|line| line.chars().count() <= 80), "it fits a terminal:\n{drawn}");
        assert!(drawn.lines().count() <= 30, "on one screen:\n{drawn}");
    }

    #[test]
    fn on_a_terminal_it_brings_its_own_colours() {
        let drawn = draw(LINK, Ink::Terminal).unwrap();
        for line in drawn.lines() {
            assert!(line.starts_with(BLACK_ON_WHITE) && line.ends_with(PLAIN), "{line:?}");
        }
        let stripped = drawn.replace(BLACK_ON_WHITE, "").replace(PLAIN, "");
        assert_eq!(stripped, draw(LINK, Ink::Text).unwrap());
    }

    #[test]
    fn what_is_too_long_is_not_drawn() {
        assert_eq!(draw(&"x".repeat(5_000), Ink::Text), None);
    }
}
