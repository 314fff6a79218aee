//! Names that are one name for who reads a request as CGI does (RFC 3875 section 4.1.18): there a hyphen is an underscore,
//! for some every other sign as well.

/// Whether `name` would be taken for `ours`, which is in lower case.
pub fn is_alike(ours: &[u8], name: &[u8]) -> bool {
    let same = |(ours, name): (&u8, &u8)| match ours {
        b'-' => !name.is_ascii_alphanumeric(),
        _ => *ours == name.to_ascii_lowercase(),
    };
    ours.len() == name.len() && ours.iter().zip(name).all(same)
}

const FRAMING: [&str; 2] = ["content-length", "transfer-encoding"];

/// Whether `name` would be taken for a field that frames the message, and is none.
pub fn mimics_framing(name: &[u8]) -> bool {
    let mimics = |ours: &&str| {
        is_alike(ours.as_bytes(), name) && !name.eq_ignore_ascii_case(ours.as_bytes())
    };
    FRAMING.iter().any(mimics)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_is_spelt_one_way() {
        for name in ["content_length", "Transfer_Encoding", "transfer.encoding"] {
            assert!(mimics_framing(name.as_bytes()), "{name}");
        }
        for name in ["Content-Length", "transfer-encoding", "content-lengths"] {
            assert!(!mimics_framing(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn signs_and_case_make_no_difference() {
        for name in ["x-real-ip", "X_Real_IP", "x.real!ip", "X-Real_ip"] {
            assert!(is_alike(b"x-real-ip", name.as_bytes()), "{name}");
        }
        for name in ["xreal-ip", "x-real-ip2", "x0real-ip", "x-real--p"] {
            assert!(!is_alike(b"x-real-ip", name.as_bytes()), "{name}");
        }
        // Who names the underscore means it.
        assert!(!is_alike(b"x_real", b"x-real"));
    }
}
