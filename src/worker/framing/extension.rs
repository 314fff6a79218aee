//! What may stand behind a chunk's size (RFC 9112 section 7.1.1). Nothing of it is forwarded; what is no extension is
//! refused, for another parser may see a line's end in it.

use super::field;

/// Whether `bytes` are chunk extensions, or none.
pub fn is_sound(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while !rest.is_empty() {
        let Some(after) = skip_extension(rest) else {
            return false;
        };
        rest = after;
    }
    true
}

/// `BWS ";" BWS name [ BWS "=" BWS value ]`
fn skip_extension(bytes: &[u8]) -> Option<&[u8]> {
    let name = skip_sign(bytes, b';')?;
    let after = skip_token(name)?;
    match skip_sign(after, b'=') {
        Some([b'"', quoted @ ..]) => skip_quoted(quoted),
        Some(value) => skip_token(value),
        None => Some(after),
    }
}

/// What follows `sign`, which may have blanks around it.
fn skip_sign(bytes: &[u8], sign: u8) -> Option<&[u8]> {
    let rest = skip_blanks(bytes).strip_prefix(&[sign])?;
    Some(skip_blanks(rest))
}

fn skip_blanks(bytes: &[u8]) -> &[u8] {
    let blanks = bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t'));
    &bytes[blanks.count()..]
}

fn skip_token(bytes: &[u8]) -> Option<&[u8]> {
    let token = bytes.iter().take_while(|byte| field::is_token_byte(**byte));
    let length = token.count();
    (length > 0).then(|| &bytes[length..])
}

/// What follows a quoted string whose first quote is gone (RFC 9110 section 5.6.4).
fn skip_quoted(bytes: &[u8]) -> Option<&[u8]> {
    let text = |byte: u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
    let mut rest = bytes;
    loop {
        rest = match rest {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', escaped, rest @ ..] if text(*escaped) => rest,
            [byte, rest @ ..] if *byte != b'\\' && text(*byte) => rest,
            _ => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_names_with_or_without_a_value() {
        for sound in [
            &b""[..],
            b";a",
            b" ; a",
            b"\t;\ta\t=\tb",
            b";a=b;c;d=\"e\"",
            b";a=\"\"",
            b";a=\"; \\\" \t \xe9\";b",
        ] {
            assert!(is_sound(sound), "{}", sound.escape_ascii());
        }
        for broken in [
            &b" "[..],
            b";",
            b"; ",
            b";;a",
            b";a;",
            b";a ",
            b"a",
            b"=a",
            b";a=",
            b";=b",
            b";a b",
            b";a[=b",
            b";a=b c",
            b";a=\"b",
            b";a=\"b\"c",
            b";a=\"\\",
            b";a=\"b\\\"",
            b";a=\"\r\"",
            b";a=\"\x00\"",
            b";a\r",
            b";\xe9",
        ] {
            assert!(!is_sound(broken), "{}", broken.escape_ascii());
        }
    }
}
