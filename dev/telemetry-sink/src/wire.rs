//! Protobuf's wire format, as far as OTLP uses it.

use anyhow::{Context as _, bail};

/// One field of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    /// A number of variable length.
    Varint(u64),
    /// Eight bytes.
    Fixed64(u64),
    /// Four bytes.
    Fixed32(u32),
    /// A text, bytes, or a message.
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    pub(crate) fn bytes(self) -> anyhow::Result<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            other => bail!("expected bytes, found {other:?}"),
        }
    }

    pub(crate) fn text(self) -> anyhow::Result<String> {
        Ok(std::str::from_utf8(self.bytes()?)?.to_owned())
    }

    /// A number, however it is written.
    pub(crate) fn number(self) -> anyhow::Result<u64> {
        match self {
            Self::Varint(number) | Self::Fixed64(number) => Ok(number),
            Self::Fixed32(number) => Ok(number.into()),
            Self::Bytes(_) => bail!("expected a number, found bytes"),
        }
    }

    /// The same bits as a floating-point number.
    pub(crate) fn double(self) -> anyhow::Result<f64> {
        Ok(f64::from_bits(self.number()?))
    }
}

/// The fields of a message, in order.
pub(crate) fn fields(mut message: &[u8]) -> anyhow::Result<Vec<(u64, Value<'_>)>> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message)?;
        let value = match key & 7 {
            0 => Value::Varint(varint(&mut message)?),
            1 => Value::Fixed64(u64::from_le_bytes(take(&mut message, 8)?.try_into()?)),
            2 => {
                let length = usize::try_from(varint(&mut message)?)?;
                Value::Bytes(take(&mut message, length)?)
            }
            5 => Value::Fixed32(u32::from_le_bytes(take(&mut message, 4)?.try_into()?)),
            other => bail!("wire type {other}"),
        };
        fields.push((key >> 3, value));
    }
    Ok(fields)
}

fn take<'a>(message: &mut &'a [u8], length: usize) -> anyhow::Result<&'a [u8]> {
    let (taken, rest) = message
        .split_at_checked(length)
        .context("the message is cut off")?;
    *message = rest;
    Ok(taken)
}

fn varint(message: &mut &[u8]) -> anyhow::Result<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(message, 1)?[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    bail!("a number without end")
}

#[cfg(test)]
mod tests {
    use super::fields;

    #[test]
    fn the_examples_of_the_specification() {
        // A field 1 that is 150, and a field 2 that is "testing".
        let message = [
            0x08, 0x96, 0x01, 0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67,
        ];
        let found = fields(&message).expect("valid");
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].0, 1);
        assert_eq!(found[0].1.number().ok(), Some(150));
        assert_eq!(found[1].0, 2);
        assert_eq!(found[1].1.text().ok().as_deref(), Some("testing"));
        for cut in 1..message.len() {
            let is_whole = cut == 3;
            assert_eq!(fields(&message[..cut]).is_ok(), is_whole, "{cut}");
        }
    }
}
