"""Node.js as an SM-DP+ that is not ours: HTTP/2 and HTTP/1.1 on one port, mutual TLS."""

import subprocess
from pathlib import Path

import pytest
import trio

from actors.backends.smdp_plus import Executed, Refused
from actors.backends.smdp_plus_client import SmdpPlusClient
from config.model import SmdpPlus
from protocols.es2plus.requests import DownloadOrder, DownloadOrdered, ReleaseProfile
from protocols.identity import Iccid
from scripts.lab.smdp_plus_certificates import Authority
from tests.interop.programs import needs

pytestmark = pytest.mark.interop

ICCID = Iccid("8949000000000000018")
SERVER = """
const http2 = require('http2'), fs = require('fs');
const [, , folder] = process.argv;
const read = (name) => fs.readFileSync(`${folder}/${name}`);
const server = http2.createSecureServer({
  key: read('dp.key'), cert: read('dp.pem'), ca: read('ca.pem'),
  requestCert: true, rejectUnauthorized: true, allowHTTP1: true,
}, (request, response) => {
  let body = '';
  request.on('data', (chunk) => { body += chunk; });
  request.on('end', () => {
    const asked = JSON.parse(body);
    const ok = request.url === '/gsma/rsp2/es2plus/downloadOrder' && request.method === 'POST'
      && asked.header.functionRequesterIdentifier === '2.999.20'
      && request.headers['x-admin-protocol'] === 'gsma/rsp/v2.2.0'
      && request.socket.getPeerCertificate().subject.CN === 'operator.lab';
    const status = ok ? { status: 'Executed-Success' } : { status: 'Failed', statusCodeData: {
      subjectCode: '1.6', reasonCode: '3.1', message: request.httpVersion } };
    response.writeHead(200, { 'content-type': 'application/json;charset=UTF-8' });
    response.end(JSON.stringify({ header: { functionExecutionStatus: status },
      ...(ok ? { iccid: asked.iccid + 'F' } : {}) }));
  });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
"""


@pytest.mark.parametrize(("http2", "version"), [(True, "2.0"), (False, "1.1")])
async def test_an_order_goes_to_node_js(tmp_path: Path, http2: bool, version: str) -> None:
    """ES2-03, ES2-13, ES2-16, ES2-21, ES2-27"""
    authority = Authority(tmp_path)
    authority.issue("dp", hosts=("127.0.0.1",))
    client = authority.issue("operator.lab")
    script = tmp_path / "dp.js"
    script.write_text(SERVER)
    process = await trio.lowlevel.open_process(
        [needs("node"), str(script), str(tmp_path)], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        with trio.fail_after(20):
            port = int(await process.stdout.receive_some(100))
            smdp = SmdpPlusClient(
                "mno",
                SmdpPlus(
                    name="dp",
                    url=f"https://127.0.0.1:{port}",
                    requester="2.999.20",
                    ca=str(authority.ca),
                    certificate=str(client.chain),
                    key=str(client.key),
                    http2=http2,
                ),
            )
            done = await smdp.execute(smdp.prepare(DownloadOrder(ICCID), "c1"), 10.0)
            assert done == Executed(DownloadOrdered(ICCID))
            refused = await smdp.execute(smdp.prepare(ReleaseProfile(ICCID), "c2"), 10.0)
            assert isinstance(refused, Refused)
            assert refused.message == version
            await smdp.close()
    finally:
        process.kill()
        await process.wait()
        if process.stdout is not None:
            await process.stdout.aclose()
