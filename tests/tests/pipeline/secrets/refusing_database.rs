//! A database that refuses every password.

use std::net::SocketAddr;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// The part of PostgreSQL's protocol that refuses every password. Also returns the first password that it received.
pub(super) async fn start() -> Result<(SocketAddr, oneshot::Receiver<String>)> {
    const ASK: &[u8] = b"R\0\0\0\x08\0\0\0\x03";
    const FIELDS: &[u8] = b"SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user \"me\"\0\0";
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (tell, reported) = oneshot::channel();
    let mut tell = Some(tell);
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await?;
            let mut startup = vec![0; usize::try_from(client.read_u32().await?)? - 4];
            client.read_exact(&mut startup).await?;
            client.write_all(ASK).await?;
            // The message's type comes before its length.
            client.read_u8().await?;
            let mut password = vec![0; usize::try_from(client.read_u32().await?)? - 4];
            client.read_exact(&mut password).await?;
            client.write_all(b"E").await?;
            client.write_u32(u32::try_from(FIELDS.len())? + 4).await?;
            client.write_all(FIELDS).await?;
            if let Some(tell) = tell.take() {
                let _ = tell.send(String::from_utf8_lossy(&password).into_owned());
            }
        }
        #[expect(unreachable_code, reason = "it gives the block's type")]
        anyhow::Ok(())
    });
    Ok((address, reported))
}
