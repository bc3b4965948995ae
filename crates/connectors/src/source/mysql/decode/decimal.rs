//! Decimals, which come as text in every form of the protocol.

use waybill_pipeline::FaultResult;

use crate::source::server::malformed;

/// The unscaled value of a decimal's text. The column's own precision holds every value that the server has.
#[inline]
pub(super) fn read(text: &[u8], precision: u8, scale: u8) -> FaultResult<i128> {
    let odd = || malformed("a decimal is not written as its column's type is");
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    // ZEROFILL puts zeros before it; no decimal has more than 65 digits.
    if digits.is_empty() || digits.len() > 80 {
        return Err(odd());
    }
    let (mut value, mut behind, mut has_point) = (0_i128, 0, false);
    for byte in digits {
        match byte {
            b'0'..=b'9' => {
                value = value.checked_mul(10).and_then(|v| v.checked_add(i128::from(byte - b'0'))).ok_or_else(odd)?;
                behind += u8::from(has_point);
            }
            b'.' if !has_point => has_point = true,
            _ => return Err(odd()),
        }
    }
    if behind != scale || value >= 10_i128.pow(u32::from(precision)) {
        return Err(odd());
    }
    Ok(if is_negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_exactly_or_refused() {
        assert_eq!(read(b"-12.50", 10, 2).expect("a decimal"), -1250);
        assert_eq!(read(b"000012.50", 10, 2).expect("zerofill"), 1250);
        assert_eq!(read(b"0", 1, 0).expect("a decimal"), 0);
        let nines = "9".repeat(38);
        assert_eq!(read(nines.as_bytes(), 38, 0).expect("a decimal"), 10_i128.pow(38) - 1);
        for odd in ["", "-", "1.5", "1.555", "1..55", "1e3", "NaN", "123456789.00", "+1.00"] {
            assert!(read(odd.as_bytes(), 10, 2).is_err(), "{odd}");
        }
        assert!(read("9".repeat(60).as_bytes(), 38, 0).is_err());
    }
}
