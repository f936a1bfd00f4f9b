// Drives the Alipay double with Alipay's official SDK: what it signs the double must take, what the double signs it
// must verify, and Python's cryptography too. Usage: node check.mjs SERVE-EXAMPLE CERTIFICATES-FOLDER PYTHON

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { AlipaySdk } from 'alipay-sdk';

const [serve, certificates, python] = process.argv.slice(2);
const verifier = new URL('../../../alipay/tests/it/foreign.py', import.meta.url).pathname;
const encryptKey = 'AAECAwQFBgcICQoLDA0ODw==';
const bare = pem => pem.replace(/-----[^-]+-----|\s/g, '');
const file = name => readFileSync(`${certificates}/${name}`, 'utf8');
const actions = html => [...html.matchAll(/action="([^"]*)"/g)].map(m => m[1]);
const post = (address, body = '') => fetch(address, {
  method: 'POST', body, redirect: 'manual', headers: { 'content-type': 'application/x-www-form-urlencoded' },
});
// The verifier that shares no code with us, nor with the SDK.
const foreign = ask => JSON.parse(execFileSync(python, [verifier], { input: JSON.stringify(ask), encoding: 'utf8' })).ok;

// A double, a shop that takes its notifications, and the SDK between them.
async function world(args, config) {
  const double = spawn(serve, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = await once(createInterface({ input: double.stdout }), 'line');
  const told = JSON.parse(line);
  const notified = [];
  const waiting = [];
  const shop = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    notified.push({ form: body, fields: Object.fromEntries(new URLSearchParams(body)) });
    response.end('success');
    waiting.splice(0).forEach(wake => wake());
  }).listen(0, '127.0.0.1');
  await once(shop, 'listening');
  const sdk = new AlipaySdk({ appId: told.app_id, keyType: 'PKCS8', gateway: `${told.url}/gateway.do`, ...config(told) });
  return {
    sdk, url: told.url, key: told.alipay_public_key, notified,
    notifyUrl: `http://127.0.0.1:${shop.address().port}/notify?a=1&b=%20`,
    call: (method, bizContent, more = {}) => sdk.exec(method, { bizContent, ...more }, { validateSign: true }),
    async notification(number, test) {
      for (;;) {
        const found = notified.find(n => n.fields.out_trade_no === number && test(n.fields));
        if (found) return found.fields;
        await new Promise(wake => waiting.push(wake));
      }
    },
    async end() {
      double.stdin.end();
      shop.close();
      shop.closeAllConnections();
      await once(double, 'exit');
    },
  };
}

const ofAll = ({ sdk, url, notifyUrl, call, notification }) => ({
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
  async 'wap.pay: pay in the browser of a phone, come back with a valid signature'() {
    const bizContent = { outTradeNo: 'wap_1', totalAmount: '1.00', subject: 'x', productCode: 'QUICK_WAP_WAY' };
    const address = sdk.pageExecute('alipay.trade.wap.pay', 'GET', { bizContent, notifyUrl, returnUrl: 'http://shop.example/' });
    const paid = await post(actions(await (await fetch(address)).text())[0]);
    const back = Object.fromEntries(new URL(paid.headers.get('location')).searchParams);
    assert.equal(sdk.checkNotifySignV2(back), true);
    assert.equal(back.method, 'alipay.trade.wap.pay.return');
    assert.equal((await call('alipay.trade.query', { outTradeNo: 'wap_1' })).tradeStatus, 'TRADE_SUCCESS');
    const wrong = { ...bizContent, outTradeNo: 'wap_2', productCode: 'FAST_INSTANT_TRADE_PAY' };
    assert.equal((await fetch(sdk.pageExecute('alipay.trade.wap.pay', 'GET', { bizContent: wrong }))).status, 400);
  },
  async 'app.pay: the text an app hands to Alipay'() {
    const bizContent = { outTradeNo: 'app_1', totalAmount: '2.00', subject: '茶 x', productCode: 'QUICK_MSECURITY_PAY' };
    const text = sdk.sdkExecute('alipay.trade.app.pay', { bizContent, notifyUrl });
    const page = await fetch(`${url}/gateway.do?${text}`);
    assert.equal(page.status, 200);
    await post(actions(await page.text())[0]);
    assert.equal((await call('alipay.trade.query', { outTradeNo: 'app_1' })).tradeStatus, 'TRADE_SUCCESS');
    assert.equal(sdk.checkNotifySignV2(await notification('app_1', n => n.trade_status === 'TRADE_SUCCESS')), true);
  },
  async 'the bill of a day that is over, none of today'() {
    const day = ago => new Date(Date.now() + 8 * 3600e3 - ago * 86400e3).toISOString().slice(0, 10);
    const method = 'alipay.data.dataservice.bill.downloadurl.query';
    const today = await call(method, { billType: 'trade', billDate: day(0) });
    assert.deepEqual([today.code, today.subCode], ['40004', 'isp.bill_not_exist']);
    const placed = await call(method, { billType: 'trade', billDate: day(1) });
    assert.equal(placed.code, '10000');
    const bytes = new Uint8Array(await (await fetch(placed.billDownloadUrl)).arrayBuffer());
    assert.deepEqual([...bytes.slice(0, 2)], [0x50, 0x4b]);
    assert.equal((await fetch(placed.billDownloadUrl.slice(0, -1) + 'x')).status, 403);
  },
});

const everyNotification = ({ notified, key }) => ({
  async 'Python verifies every notification, and none that was altered'() {
    assert.ok(notified.length >= 4);
    for (const { form } of notified) {
      assert.equal(foreign({ do: 'notification', form, key }), true, form);
      assert.equal(foreign({ do: 'notification', form: form.replace(/total_amount=\d+/, 'total_amount=9999'), key }), false);
    }
  },
});

const certified = ({ sdk, url, key, call }) => ({
  async 'the answer names the certificate, and Python verifies it'() {
    const request = sdk.sdkExecute('alipay.trade.query', { bizContent: { outTradeNo: 'qr_1' } });
    const text = await (await post(`${url}/gateway.do`, request)).text();
    assert.equal(JSON.parse(text).alipay_cert_sn, sdk.config.alipayCertSn);
    assert.equal(foreign({ do: 'answer', text, property: 'alipay_trade_query_response', key }), true);
  },
  async 'a request of another certificate is refused'() {
    const { appCertSn } = sdk.config;
    sdk.config.appCertSn = sdk.config.alipayCertSn;
    const refused = await call('alipay.trade.query', { outTradeNo: 'qr_1' }).catch(error => error);
    sdk.config.appCertSn = appCertSn;
    assert.match(JSON.stringify(refused), /isv.invalid-app-cert-sn|app_cert_sn/);
  },
});

// The SDK cannot verify the signature of an encrypted answer: it looks for braces. Python does it instead.
const encrypted = ({ sdk, url, key, notifyUrl }) => ({
  async 'encrypted: precreate, pay, query, refund'() {
    const exec = (method, bizContent, more = {}) => sdk.exec(method, { bizContent, needEncrypt: true, ...more });
    const made = await exec('alipay.trade.precreate',
      { outTradeNo: 'aes_1', totalAmount: '12.34', subject: '茶杯 cups' }, { notifyUrl });
    assert.equal(made.code, '10000');
    await post(actions(await (await fetch(made.qrCode)).text())[0]);
    const after = await exec('alipay.trade.query', { outTradeNo: 'aes_1' });
    assert.deepEqual([after.tradeStatus, after.totalAmount], ['TRADE_SUCCESS', '12.34']);
    const back = await exec('alipay.trade.refund', { outTradeNo: 'aes_1', refundAmount: '1.00', outRequestNo: 'r1' });
    assert.equal(back.fundChange, 'Y');
  },
  async 'encrypted: Python verifies the signature over the quoted text'() {
    const request = sdk.sdkExecute('alipay.trade.query', { bizContent: { outTradeNo: 'aes_1' }, needEncrypt: true });
    const text = await (await post(`${url}/gateway.do`, request)).text();
    const property = 'alipay_trade_query_response';
    assert.ok(text.startsWith(`{"${property}":"`) && !text.includes('12.34'), text);
    assert.equal(foreign({ do: 'answer', text, property, key }), true);
    assert.equal(foreign({ do: 'answer', text: text.replace('A', 'B'), property, key }), false);
  },
  async 'encrypted with another key: refused'() {
    const { encryptKey: ours } = sdk.config;
    sdk.config.encryptKey = 'AAAAAAAAAAAAAAAAAAAAAA==';
    const refused = await sdk.exec('alipay.trade.query', { bizContent: { outTradeNo: 'aes_1' }, needEncrypt: true });
    sdk.config.encryptKey = ours;
    assert.equal(refused.subCode, 'isv.decryption-error');
  },
  async 'what is sent in the clear is answered in the clear'() {
    const after = await sdk.exec('alipay.trade.query', { bizContent: { outTradeNo: 'aes_1' } }, { validateSign: true });
    assert.equal(after.tradeStatus, 'TRADE_SUCCESS');
  },
});

const byKeys = told =>
  ({ privateKey: bare(told.merchant_private_key), alipayPublicKey: bare(told.alipay_public_key), encryptKey });
const byCertificates = () => ({
  privateKey: bare(file('app.key')), appCertContent: file('app.pem'), alipayPublicCertContent: file('alipay.pem'),
  alipayRootCertContent: file('root.pem'),
});
const modes = [
  ['public key', [], byKeys, [ofAll, everyNotification]],
  ['certificates', [certificates], byCertificates, [ofAll, certified, everyNotification]],
  ['AES', ['-', encryptKey], byKeys, [encrypted]],
];
let [failed, passed] = [0, 0];
const limit = setTimeout(() => { console.error('FAILED: no end within 180 s'); process.exit(1); }, 180_000);
for (const [mode, args, config, suites] of modes) {
  const one = await world(args, config);
  for (const [name, check] of suites.flatMap(suite => Object.entries(suite(one)))) {
    try {
      await check();
      passed += 1;
      console.log(`ok      ${mode}: ${name}`);
    } catch (error) {
      failed += 1;
      console.error(`FAILED  ${mode}: ${name}\n${error.stack}`);
    }
  }
  await one.end();
}
clearTimeout(limit);
console.log(failed === 0 ? `all ${passed} checks with alipay-sdk passed` : `${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
