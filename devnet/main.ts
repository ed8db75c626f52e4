console.log('devnet');
