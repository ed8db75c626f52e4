import { describe, expect, it } from 'vitest';
import { BodyRoom } from '../../../src/inbound/body-room.ts';

describe('the room of all bodies', () => {
  const ended: string[] = [];
  const enter = (room: BodyRoom, site: string, name = site) => {
    ended.length = 0;
    return room.enter(site, () => ended.push(name));
  };

  it('is full to its last byte', () => {
    const room = new BodyRoom(100);
    const body = enter(room, 'a');
    body.grow(100);
    expect(ended).toEqual([]);
    body.grow(1);
    expect(ended).toEqual(['a']);
  });

  it('ends the largest arriving body of the site that holds most, as many as it takes', () => {
    const room = new BodyRoom(100);
    const [first, second, third] = ['a1', 'a2', 'a3'].map((name) => enter(room, 'a', name));
    first?.grow(20);
    second?.grow(25);
    third?.grow(15);
    const other = enter(room, 'b');
    other.grow(40);
    expect(ended).toEqual([]);
    other.grow(19);
    expect(ended).toEqual(['a2']);
    // a holds 35 now, b 59.
    first?.grow(10);
    expect(ended).toEqual(['a2', 'b']);
  });

  it('ends no complete body, and counts it until it leaves', () => {
    const room = new BodyRoom(100);
    const complete = enter(room, 'a', 'complete');
    complete.grow(90);
    complete.complete();
    const other = enter(room, 'b');
    other.grow(10);
    other.grow(1);
    expect(ended).toEqual(['b']);
    complete.leave();
    complete.leave();
    const third = enter(room, 'c');
    third.grow(100);
    expect(ended).toEqual([]);
    third.grow(1);
    expect(ended).toEqual(['c']);
  });

  it('an ended body counts no more, whatever still comes, and takes nothing when it leaves', () => {
    const room = new BodyRoom(100);
    const body = enter(room, 'a');
    body.grow(101);
    body.grow(50);
    body.leave();
    const other = enter(room, 'b');
    other.grow(100);
    expect(ended).toEqual([]);
    other.grow(1);
    expect(ended).toEqual(['b']);
  });

  it('a site of which one body left keeps the others', () => {
    const room = new BodyRoom(100);
    const [first, second] = [enter(room, 'a', 'a1'), enter(room, 'a', 'a2')];
    first.grow(10);
    second.grow(50);
    first.leave();
    const [third, fourth] = [enter(room, 'a', 'a3'), enter(room, 'b')];
    third.grow(5);
    fourth.grow(45);
    fourth.grow(1);
    expect(ended).toEqual(['a2']);
  });
});
