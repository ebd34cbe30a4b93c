// A real Baileys device, told what to do by JSON lines on standard input; what happens to it is
// told by JSON lines on standard output. It talks to the simulator only, and trusts it.
//
//   node device.mjs <folder> [package]    with SIM_PROXY_URL, SIM_ROOT_KEY and NODE_EXTRA_CA_CERTS
//   {"do": "send", "to": "<jid>", "text": "..."}    {"do": "stop"}

import { createInterface } from 'node:readline'
import { HttpsProxyAgent } from 'https-proxy-agent'
import pino from 'pino'
import WebSocket from 'ws'

const RESTART = 515
const DISTANCE_MS = 20
const name = process.argv[3] ?? 'baileys'
const { default: makeWASocket, Browsers, useMultiFileAuthState } = await import(name)
const { WA_CERT_DETAILS } = await import(`${name}/lib/Defaults/index.js`)

// Version 6 loses what comes while it is finishing the handshake. No real server is that near.
const emit = WebSocket.prototype.emit
WebSocket.prototype.emit = function (event, ...rest) {
  if (event !== 'message') return emit.call(this, event, ...rest)
  setTimeout(() => emit.call(this, event, ...rest), DISTANCE_MS)
  return true
}

WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(process.env.SIM_ROOT_KEY, 'hex')
const agent = new HttpsProxyAgent(process.env.SIM_PROXY_URL)
const logger = pino({ level: process.env.BAILEYS_LOG ?? 'silent' }, pino.destination(2))
const { state, saveCreds } = await useMultiFileAuthState(process.argv[2])
console.info = console.warn = console.error // libsignal talks on standard output
const tell = what => process.stdout.write(JSON.stringify(what) + '\n')
const sent = new Map()
let socket, saving = Promise.resolve(), stopping = false

function connect() {
  socket = makeWASocket({
    auth: state,
    agent,
    fetchAgent: agent,
    logger,
    browser: Browsers.ubuntu('Chrome'),
    syncFullHistory: false,
    shouldSyncHistoryMessage: () => false,
    markOnlineOnConnect: false,
    getMessage: async key => sent.get(key.id),
  })
  socket.ev.on('creds.update', () => { saving = saving.then(saveCreds) })
  socket.ev.on('connection.update', update => {
    if (update.qr) tell({ qr: update.qr })
    if (update.connection === 'open') tell({ open: socket.user.id, lid: socket.user.lid })
    if (update.receivedPendingNotifications) tell({ caughtUp: true })
    if (update.connection === 'close' && !stopping) {
      const code = update.lastDisconnect?.error?.output?.statusCode
      tell({ closed: code })
      if (code === RESTART) saving.then(connect)
    }
  })
  socket.ev.on('messages.upsert', ({ messages }) => {
    for (const { key, message, messageStubParameters } of messages) {
      if (key.fromMe) continue
      const text = message?.conversation ?? message?.extendedTextMessage?.text
      if (text !== undefined) tell({ text, chat: key.remoteJid, id: key.id })
      else if (messageStubParameters) tell({ unreadable: messageStubParameters, id: key.id })
    }
  })
}

const actions = {
  async send({ to, text }) {
    const message = await socket.sendMessage(to, { text })
    sent.set(message.key.id, message.message)
    tell({ sent: message.key.id })
  },
  async stop() {
    stopping = true
    await socket.end(undefined)
    await saving
    tell({ stopped: true })
    process.exit(0)
  },
}

connect()
for await (const line of createInterface({ input: process.stdin })) {
  const action = JSON.parse(line)
  try {
    await actions[action.do](action)
  } catch (error) {
    tell({ failed: action.do, why: String(error) })
  }
}
await actions.stop()
