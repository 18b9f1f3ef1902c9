//! How the bytes of a fuzz input are cut into what the targets push.

/// Cuts the front off an input: a control byte, two bytes of length (the low one first), so many bytes or what is left.
pub fn cut<'i>(input: &mut &'i [u8]) -> Option<(u8, &'i [u8])> {
    let (&[control, low, high], rest) = input.split_first_chunk()?;
    let len = usize::from(u16::from_le_bytes([low, high])).min(rest.len());
    let (bytes, rest) = rest.split_at(len);
    *input = rest;
    Some((control, bytes))
}

/// The reverse of [`cut`], for seeds; what is longer than a length can say is cut off.
pub fn join(input: &mut Vec<u8>, control: u8, bytes: &[u8]) {
    let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    input.push(control);
    input.extend(len.to_le_bytes());
    input.extend(&bytes[..usize::from(len)]);
}
