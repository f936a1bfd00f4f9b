// Drives the Alipay double with Alipay's official SDK: what it signs the double must take, what the double signs it
// must verify. Usage: node check.mjs PATH-OF-THE-SERVE-EXAMPLE

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { AlipaySdk } from 'alipay-sdk';

const double = spawn(process.argv[2], { stdio: ['pipe', 'pipe', 'inherit'] });
const [line] = await once(createInterface({ input: double.stdout }), 'line');
const { url, app_id: appId, merchant_private_key: privateKey, alipay_public_key: alipayPublicKey } = JSON.parse(line);

const notified = [];
const waiting = [];
const shop = createServer(async (request, response) => {
  let body = '';
  for await (const chunk of request) body += chunk;
  notified.push(Object.fromEntries(new URLSearchParams(body)));
  response.end('success');
  waiting.splice(0).forEach(wake => wake());
}).listen(0, '127.0.0.1');
await once(shop, 'listening');
const notifyUrl = `http://127.0.0.1:${shop.address().port}/notify?a=1&b=%20`;

const bare = pem => pem.replace(/-----[^-]+-----|\s/g, '');
const sdk = new AlipaySdk({
  appId, privateKey: bare(privateKey), keyType: 'PKCS8', alipayPublicKey: bare(alipayPublicKey),
  gateway: `${url}/gateway.do`,
});
const call = (method, bizContent, more = {}) => sdk.exec(method, { bizContent, ...more }, { validateSign: true });
const notification = async (number, test) => {
  for (;;) {
    const found = notified.find(n => n.out_trade_no === number && test(n));
    if (found) return found;
    await new Promise(wake => waiting.push(wake));
  }
};
const actions = html => [...html.matchAll(/action="([^"]*)"/g)].map(m => m[1]);
const post = (address, body = '') => fetch(address, {
  method: 'POST', body, redirect: 'manual', headers: { 'content-type': 'application/x-www-form-urlencoded' },
});

const checks = {
  async 'precreate, scan, pay, query'() {
    const made = await call('alipay.trade.precreate',
      { outTradeNo: 'qr_1', totalAmount: '12.34', subject: '茶杯 cups' }, { notifyUrl });
    assert.equal(made.code, '10000');
    const before = await call('alipay.trade.query', { outTradeNo: 'qr_1' });
    assert.deepEqual([before.code, before.subCode], ['40004', 'ACQ.TRADE_NOT_EXIST']);
    const page = await (await fetch(made.qrCode)).text();
    assert.equal((await post(actions(page)[0])).status, 303);
    const after = await call('alipay.trade.query', { outTradeNo: 'qr_1' });
    assert.deepEqual([after.code, after.tradeStatus, after.totalAmount], ['10000', 'TRADE_SUCCESS', '12.34']);
  },
  async 'the notification verifies, an altered one does not'() {
    const told = await notification('qr_1', n => n.trade_status === 'TRADE_SUCCESS');
    assert.equal(sdk.checkNotifySignV2(told), true);
    assert.equal(sdk.checkNotifySignV2({ ...told, total_amount: '0.01' }), false);
    assert.equal(sdk.checkNotifySignV2({ ...told, added: 'x' }), false);
  },
  async 'refund, the same again, refund query'() {
    const refund = { outTradeNo: 'qr_1', refundAmount: '2.34', outRequestNo: 'rf_1', refundReason: '退货 & more' };
    const first = await call('alipay.trade.refund', refund);
    assert.deepEqual([first.code, first.fundChange, first.refundFee], ['10000', 'Y', '2.34']);
    const second = await call('alipay.trade.refund', refund);
    assert.deepEqual([second.code, second.fundChange], ['10000', 'N']);
    const asked = await call('alipay.trade.fastpay.refund.query', { outTradeNo: 'qr_1', outRequestNo: 'rf_1' });
    assert.deepEqual([asked.refundStatus, asked.refundAmount], ['REFUND_SUCCESS', '2.34']);
    const told = await notification('qr_1', n => n.out_biz_no === 'rf_1');
    assert.equal(sdk.checkNotifySignV2(told), true);
    assert.equal(told.refund_fee, '2.34');
  },
  async 'close refuses what is paid'() {
    const closed = await call('alipay.trade.close', { outTradeNo: 'qr_1' });
    assert.deepEqual([closed.code, closed.subCode], ['40004', 'ACQ.TRADE_STATUS_ERROR']);
  },
  async 'page.pay by GET: open, log in, close'() {
    const bizContent = { outTradeNo: 'page_1', totalAmount: '88.88', subject: 'x', productCode: 'FAST_INSTANT_TRADE_PAY' };
    const address = sdk.pageExecute('alipay.trade.page.pay', 'GET', { bizContent, notifyUrl, returnUrl: 'http://shop.example/?a=1' });
    const altered = await fetch(address.replace('88.88', '00.01'));
    assert.equal(altered.status, 400);
    const page = await fetch(address);
    assert.equal(page.status, 200);
    const [, login] = actions(await page.text());
    assert.equal((await call('alipay.trade.query', { outTradeNo: 'page_1' })).subCode, 'ACQ.TRADE_NOT_EXIST');
    await post(login);
    assert.equal((await call('alipay.trade.query', { outTradeNo: 'page_1' })).tradeStatus, 'WAIT_BUYER_PAY');
    assert.equal((await call('alipay.trade.close', { outTradeNo: 'page_1' })).code, '10000');
    assert.equal((await call('alipay.trade.query', { outTradeNo: 'page_1' })).tradeStatus, 'TRADE_CLOSED');
  },
  async 'page.pay by POST form: pay, come back with a valid signature'() {
    const bizContent = { outTradeNo: 'page_2', totalAmount: '0.01', subject: 'x', productCode: 'FAST_INSTANT_TRADE_PAY' };
    const html = sdk.pageExecute('alipay.trade.page.pay', 'POST', { bizContent, notifyUrl, returnUrl: 'http://shop.example/' });
    const fields = [...html.matchAll(/name="([^"]*)" value="([^"]*)"/g)].map(m => [m[1], m[2].replaceAll('&quot;', '"')]);
    const page = await post(actions(html)[0], new URLSearchParams(fields).toString());
    const paid = await post(actions(await page.text())[0]);
    assert.equal(paid.status, 303);
    const back = Object.fromEntries(new URL(paid.headers.get('location')).searchParams);
    assert.equal(sdk.checkNotifySignV2(back), true);
    assert.equal(sdk.checkNotifySignV2({ ...back, total_amount: '9.99' }), false);
  },
  async 'an answer with a wrong signature is not believed'() {
    const switched = await fetch(`${url}/faults`, {
      method: 'POST', body: '{"fault":"wrong_signature"}', headers: { 'content-type': 'application/json' },
    });
    assert.equal(switched.status, 201);
    await assert.rejects(call('alipay.trade.query', { outTradeNo: 'qr_1' }), /验签失败/);
  },
};

let failed = 0;
const limit = setTimeout(() => { console.error('FAILED: no end within 60 s'); double.kill(); process.exit(1); }, 60_000);
for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.error(`FAILED  ${name}\n${error.stack}`);
  }
}
clearTimeout(limit);
double.stdin.end();
shop.close();
shop.closeAllConnections();
await once(double, 'exit');
console.log(failed === 0 ? `all ${Object.keys(checks).length} checks with alipay-sdk passed` : `${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
